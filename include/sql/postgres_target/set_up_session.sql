-- Waiting for another publish of the same source object ends after this long; instants come back in the one style that
-- the driver reads, whatever the role's default is.
SELECT
    SET_CONFIG('lock_timeout', %(milliseconds)s, FALSE),
    SET_CONFIG('datestyle', 'ISO', FALSE)

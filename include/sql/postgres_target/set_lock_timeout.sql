-- Waiting for another publish of the same source object ends after this long.
SELECT SET_CONFIG('lock_timeout', %(milliseconds)s, FALSE)

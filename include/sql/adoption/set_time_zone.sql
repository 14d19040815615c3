-- Set the zone in which times without an offset are read and all times are shown, until the transaction ends.
SELECT SET_CONFIG('TimeZone', %(timezone)s, TRUE)

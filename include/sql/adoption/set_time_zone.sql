-- In which zone times without an offset are read, and all are shown, until the transaction ends.
SELECT SET_CONFIG('TimeZone', %(timezone)s, TRUE)

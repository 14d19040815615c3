-- The database's clock.
SELECT CLOCK_TIMESTAMP()

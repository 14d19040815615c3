-- Read the database's clock.
SELECT CLOCK_TIMESTAMP()

-- Lock the given rows, always in the same order, and read them together with the database's clock.
SELECT
    ledger.*,
    CLOCK_TIMESTAMP() AS database_now
FROM pipeline_lifecycle AS ledger
WHERE id = ANY(%(ids)s)
ORDER BY id
FOR UPDATE

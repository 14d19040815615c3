-- Read the statuses that neither the mapping nor the ledger knows.
SELECT
    status,
    COUNT(*) AS times
FROM (SELECT {their_status} AS status FROM {their_table} AS theirs) AS said
WHERE
    COALESCE(status, %(null_status)s) != ALL(%(theirs)s::text[])
    AND (status IS NULL OR UPPER(status) != ALL(%(ours)s::text[]))
GROUP BY status
ORDER BY times DESC, status

-- Find the first id, in order, that several landed rows of a ledger row share, and the number of those rows.
SELECT
    _id,
    COUNT(*) AS row_count
FROM {landed}
WHERE _lifecycle_id = %(lifecycle_id)s
GROUP BY _id
HAVING COUNT(*) > 1
ORDER BY _id
LIMIT 1

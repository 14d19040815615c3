-- Find the first document of a ledger row, by id, that a typed column can't hold, and the position of that column.
SELECT
    _id,
    refused_column
FROM {landed}
WHERE refused_column IS NOT NULL AND _lifecycle_id = %(lifecycle_id)s
ORDER BY _id
LIMIT 1

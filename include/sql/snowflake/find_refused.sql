-- Find the first document, by id, that a typed column can't hold, and the position of that column.
SELECT
    _id,
    refused_column
FROM {landed}
WHERE refused_column IS NOT NULL
ORDER BY _id
LIMIT 1

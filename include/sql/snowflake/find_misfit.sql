-- Find the first document, by id, whose value does not fit the present type of the column.
SELECT _id
FROM {landed}
WHERE {misfit}
ORDER BY _id
LIMIT 1

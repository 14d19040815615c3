-- The first document, by id, whose value the column as it is by now does not take.
SELECT _id
FROM {typed}
WHERE {misfit}
ORDER BY _id
LIMIT 1

-- Find the first document, by id, whose value does not fit the column's present type.
SELECT _id
FROM {landed}
WHERE {altered_column} IS NOT NULL AND NOT PG_INPUT_IS_VALID({altered_column}::TEXT, %(type)s)
ORDER BY _id
LIMIT 1

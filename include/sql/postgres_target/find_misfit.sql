-- The first document, by id, whose value the column's present type does not take.
SELECT _id
FROM {loading}
WHERE {altered_column} IS NOT NULL AND NOT PG_INPUT_IS_VALID({altered_column}::TEXT, %(type)s)
ORDER BY _id
LIMIT 1

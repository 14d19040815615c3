-- The first document, by id, that a typed column can't hold, and that column's position.
SELECT
    line['_id']::TEXT AS document_id,
    {refused_column} AS column_index
FROM ({typed_rows}) AS typed_rows
WHERE {refused}
ORDER BY document_id
LIMIT 1

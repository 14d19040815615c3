-- Read one row.
SELECT * FROM pipeline_lifecycle
WHERE id = %(id)s

-- One row as it is.
SELECT * FROM pipeline_lifecycle
WHERE id = %(id)s

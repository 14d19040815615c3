-- A row's history, oldest first.
SELECT * FROM pipeline_lifecycle_events
WHERE lifecycle_id = %(id)s
ORDER BY id

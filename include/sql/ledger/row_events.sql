-- Read the history of a row, oldest event first.
SELECT * FROM pipeline_lifecycle_events
WHERE lifecycle_id = %(id)s
ORDER BY id

-- Those of some ids that rows have.
SELECT id FROM pipeline_lifecycle
WHERE id = ANY(%(ids)s)

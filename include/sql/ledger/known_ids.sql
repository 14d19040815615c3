-- Return those of the given ids that exist in the ledger.
SELECT id FROM pipeline_lifecycle
WHERE id = ANY(%(ids)s)

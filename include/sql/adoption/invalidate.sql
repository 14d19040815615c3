-- Invalidate rows, with the reason.
UPDATE pipeline_lifecycle_import AS imported
SET resolution = 'invalidated', reason = gone.reason
FROM UNNEST(%(ids)s::bigint[], %(reasons)s::text[]) AS gone (id, reason)
WHERE imported.import_id = %(import_id)s AND imported.id = gone.id

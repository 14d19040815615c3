-- The latest row of each imported source: what it says of names and plan is what new rows of the source get.
SELECT DISTINCT ON (source_object) *
FROM pipeline_lifecycle_import
WHERE import_id = %(import_id)s
ORDER BY source_object ASC, query_window_start_at DESC, id DESC

-- Read the latest row of each imported source: new rows of the source get its names and its plan.
SELECT DISTINCT ON (source_object) *
FROM pipeline_lifecycle_import
WHERE import_id = %(import_id)s
ORDER BY source_object ASC, query_window_start_at DESC, id DESC

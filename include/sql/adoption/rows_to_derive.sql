-- Read one batch of the rows that will be moved and lack a derived column.
SELECT
    id,
    source_object,
    query_window_start_at,
    query_window_end_at
FROM pipeline_lifecycle_import
WHERE
    import_id = %(import_id)s
    AND id > %(after)s
    AND (resolution = 'run_again' OR (resolution = 'kept' AND pipeline_final_status NOT IN ('COMPLETED', 'SKIPPED')))
    AND NUM_NULLS(
        source_id, stage_id, target_id, source_category, stage_category, target_category, key_x, key_y, key_z
    ) > 0
ORDER BY id
LIMIT %(batch)s

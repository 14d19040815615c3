-- Read the closed windows of a source that were marked for a revisit and have rested long enough since.
SELECT * FROM pipeline_lifecycle
WHERE
    source_object = %(source_object)s
    AND is_revisit_due_flag
    AND NOT is_invalidated_flag
    AND pipeline_final_status IN ('COMPLETED', 'SKIPPED')
    AND COALESCE(pipeline_end_time, '-infinity') <= %(finished_before)s
ORDER BY query_window_start_at

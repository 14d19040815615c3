-- Count the windows that runs hold, of a pipeline, a source system or a target table (NULL: not filtered).
SELECT COUNT(*) AS windows
FROM pipeline_lifecycle
WHERE
    pipeline_final_status = 'IN_PROGRESS'
    AND NOT is_invalidated_flag
    AND (%(source_object)s::text IS NULL OR source_object = %(source_object)s)
    AND (%(source_name)s::text IS NULL OR source_name = %(source_name)s)
    AND (%(target_name)s::text IS NULL OR (target_name = %(target_name)s AND target_object IS NOT DISTINCT FROM %(target_object)s))

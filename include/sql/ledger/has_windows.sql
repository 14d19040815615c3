-- Tell whether a source has any live row.
SELECT COUNT(*) > 0 AS has_windows
FROM (
    SELECT FROM pipeline_lifecycle
    WHERE source_object = %(source_object)s AND NOT is_invalidated_flag
    ORDER BY target_day
    LIMIT 1
) AS found

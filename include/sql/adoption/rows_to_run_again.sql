-- Read the kept rows that overlapped an invalidated row which may have loaded something.
WITH rated AS (
    SELECT
        id,
        source_object,
        query_window_start_at AS start_at,
        query_window_end_at AS end_at,
        resolution,
        resolution = 'invalidated'
        AND NOT COALESCE(is_invalidated_flag, FALSE)
        AND (
            COALESCE(phase_completed IN ('STAGE_TO_TARGET', 'AUDIT'), FALSE)
            OR stage_to_target_ingestion_start_time IS NOT NULL
            OR pipeline_final_status IN ('COMPLETED', 'SKIPPED')
        ) AS has_gone
    FROM pipeline_lifecycle_import
    WHERE import_id = %(import_id)s AND source_object = ANY(%(source_objects)s)
),

reached AS (
    SELECT
        id,
        resolution,
        MAX(end_at) FILTER (WHERE has_gone) OVER before > start_at AS is_reached,
        MIN(start_at) FILTER (WHERE has_gone) OVER after < end_at AS reaches
    FROM rated
    WINDOW
        before AS (PARTITION BY source_object ORDER BY start_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        after AS (PARTITION BY source_object ORDER BY start_at DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)

SELECT id
FROM reached
WHERE resolution = 'kept' AND (is_reached OR reaches)

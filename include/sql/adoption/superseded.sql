-- Read the imported rows whose time overlaps a live row of the ledger: the ledger's row wins, whatever the state of
-- either.
WITH extents AS (
    SELECT
        source_object,
        MIN(query_window_start_at) AS start_at,
        MAX(query_window_end_at) AS end_at
    FROM pipeline_lifecycle
    WHERE source_object = ANY(%(source_objects)s) AND NOT is_invalidated_flag
    GROUP BY source_object
)

SELECT
    imported.id,
    imported.source_object,
    imported.target_day,
    imported.query_window_start_at,
    imported.query_window_end_at,
    imported.phase_completed IN ('STAGE_TO_TARGET', 'AUDIT')
    OR imported.stage_to_target_ingestion_start_time IS NOT NULL
    OR imported.pipeline_final_status IN ('COMPLETED', 'SKIPPED') AS has_loaded,
    ledger.id AS ledger_id,
    ledger.query_window_start_at AS ledger_start_at,
    ledger.query_window_end_at AS ledger_end_at,
    ledger.pipeline_final_status AS ledger_status
FROM pipeline_lifecycle_import AS imported
INNER JOIN extents ON imported.source_object = extents.source_object
CROSS JOIN LATERAL (
    SELECT *
    FROM pipeline_lifecycle AS other
    WHERE
        HASHTEXTEXTENDED(other.source_object, 0) = HASHTEXTEXTENDED(imported.source_object, 0)
        AND other.source_object = imported.source_object
        AND NOT other.is_invalidated_flag
        AND TSTZRANGE(other.query_window_start_at, other.query_window_end_at)
        && TSTZRANGE(imported.query_window_start_at, imported.query_window_end_at)
    ORDER BY other.query_window_start_at
    LIMIT 1
) AS ledger
WHERE
    imported.import_id = %(import_id)s
    AND imported.resolution = 'kept'
    AND imported.query_window_start_at < extents.end_at
    AND imported.query_window_end_at > extents.start_at
ORDER BY imported.source_object, imported.query_window_start_at, imported.id

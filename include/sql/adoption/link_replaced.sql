-- Link each row that this import invalidated to the live row that covers its time, preferably to the row that is meant
-- to replace it: that row inherits the deletion that the invalidated row owes to the target.
WITH heirs AS (
    SELECT
        imported.adopted_lifecycle_id AS id,
        heir.id AS heir_id,
        heir.query_window_start_at
    FROM pipeline_lifecycle_import AS imported
    CROSS JOIN LATERAL (
        SELECT *
        FROM pipeline_lifecycle AS live
        WHERE
            HASHTEXTEXTENDED(live.source_object, 0) = HASHTEXTEXTENDED(imported.source_object, 0)
            AND live.source_object = imported.source_object
            AND NOT live.is_invalidated_flag
            AND TSTZRANGE(live.query_window_start_at, live.query_window_end_at)
            && TSTZRANGE(imported.query_window_start_at, imported.query_window_end_at)
        ORDER BY live.is_replacement_run_flag DESC, live.query_window_start_at ASC
        LIMIT 1
    ) AS heir
    WHERE
        imported.import_id = %(import_id)s
        AND imported.resolution = 'invalidated'
        AND NOT COALESCE(imported.is_invalidated_flag, FALSE)
),

linked AS (
    UPDATE pipeline_lifecycle AS ledger
    SET replaced_by_id = heirs.heir_id
    FROM heirs
    WHERE ledger.id = heirs.id
    RETURNING ledger.*
)

INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, from_status, to_status, from_phase, to_phase, fence,
    dag_id, dag_run_id, task_id, map_index, try_number, reason
)
SELECT
    id, 'replacement_planned', pipeline_final_status, pipeline_final_status, phase_completed, phase_completed, fence,
    %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, FORMAT('row %%s stands in its time', replaced_by_id)
FROM linked

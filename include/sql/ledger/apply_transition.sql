-- Write one transition, its event, and its results for the rows that it replaces, in one statement. The columns are
-- those that the transition changes. lock_rows or lock_claimable_rows locked the row in the same transaction.
WITH before AS (
    SELECT id, pipeline_final_status, phase_completed
    FROM pipeline_lifecycle
    WHERE id = %(id)s
),

changed AS (
    UPDATE pipeline_lifecycle AS ledger
    SET (record_last_updated_at{columns}) = (
        SELECT CLOCK_TIMESTAMP(){new_values}
        FROM JSONB_POPULATE_RECORD(ledger, %(changes)s::jsonb) AS new
    )
    WHERE ledger.id = %(id)s
    RETURNING ledger.*
),

deletion_done AS (
    UPDATE pipeline_lifecycle
    SET target_deletion_done_flag = TRUE, record_last_updated_at = CLOCK_TIMESTAMP()
    WHERE id = ANY(%(deletion_done_ids)s::bigint[]) AND is_invalidated_flag
),

event AS (
    INSERT INTO pipeline_lifecycle_events (
        lifecycle_id, event, from_status, to_status, from_phase, to_phase, fence,
        dag_id, dag_run_id, task_id, map_index, try_number, reason, numbers
    )
    SELECT
        changed.id, %(event)s, before.pipeline_final_status, changed.pipeline_final_status,
        before.phase_completed, changed.phase_completed, changed.fence,
        %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, %(reason)s, %(numbers)s::jsonb
    FROM changed
    INNER JOIN before ON changed.id = before.id
)

SELECT * FROM changed

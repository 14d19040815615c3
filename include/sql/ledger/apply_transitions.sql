-- Write the transitions of some rows with their events, and their results for the rows that they replace, in one
-- statement. The columns are those that any of the transitions changes. lock_rows or lock_claimable_rows locked the rows
-- in the same transaction. Their ids are given beside them, because Postgres can't see how few rows a JSON value has.
WITH given AS (
    SELECT *
    FROM JSONB_TO_RECORDSET(%(transitions)s::jsonb)
    AS step (id bigint, changes jsonb, event text, reason text, numbers jsonb)
),

before AS (
    SELECT
        ledger.id,
        ledger.pipeline_final_status,
        ledger.phase_completed
    FROM pipeline_lifecycle AS ledger
    INNER JOIN given ON ledger.id = given.id
    WHERE ledger.id = ANY(%(ids)s::bigint[])
),

changed AS (
    UPDATE pipeline_lifecycle AS ledger
    SET (record_last_updated_at{columns}) = (
        SELECT CLOCK_TIMESTAMP(){new_values}
        FROM JSONB_POPULATE_RECORD(ledger, changes) AS new
    )
    FROM given
    WHERE ledger.id = given.id AND ledger.id = ANY(%(ids)s::bigint[])
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
        changed.id, given.event, before.pipeline_final_status, changed.pipeline_final_status,
        before.phase_completed, changed.phase_completed, changed.fence,
        %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, given.reason, given.numbers
    FROM changed
    INNER JOIN given ON changed.id = given.id
    INNER JOIN before ON changed.id = before.id
    ORDER BY changed.id
)

SELECT * FROM changed

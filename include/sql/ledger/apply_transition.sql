-- Write one transition, its event, and what it settles for the rows it replaces, in one statement.
-- The row was locked by lock_rows or lock_claimable_rows in the same transaction.
WITH before AS (
    SELECT id, pipeline_final_status, phase_completed
    FROM pipeline_lifecycle
    WHERE id = %(id)s
),

changed AS (
    UPDATE pipeline_lifecycle AS ledger
    SET (
        priority, campaign_id, dag_id, dag_run_id, job_id, fence, heartbeat_at, pipeline_locked_at, not_before_at,
        retry_attempt, last_error, source_to_stage_ingestion_start_time, source_to_stage_ingestion_end_time,
        source_to_stage_ingestion_status, stage_location, stage_file_count, stage_byte_count, staged_count,
        staged_fingerprint, quarantined_count, stage_to_target_ingestion_start_time,
        stage_to_target_ingestion_end_time, stage_to_target_ingestion_status, loaded_count,
        loaded_fingerprint, audit_start_time, audit_end_time, audit_process_status, audit_result_status,
        source_count, target_count, target_fingerprint, count_difference, percentage_difference,
        undated_count, elt_process_status, pipeline_final_status, phase_completed, pipeline_start_time,
        pipeline_end_time, is_invalidated_flag, is_replacement_run_flag, target_deletion_done_flag,
        is_revisit_due_flag, replaced_by_id, source_parts, removable_count, kept_source_count,
        record_last_updated_at
    ) = (
        SELECT
            new.priority, new.campaign_id, new.dag_id, new.dag_run_id, new.job_id, new.fence, new.heartbeat_at,
            new.pipeline_locked_at, new.not_before_at, new.retry_attempt, new.last_error,
            new.source_to_stage_ingestion_start_time, new.source_to_stage_ingestion_end_time,
            new.source_to_stage_ingestion_status, new.stage_location, new.stage_file_count,
            new.stage_byte_count, new.staged_count, new.staged_fingerprint, new.quarantined_count,
            new.stage_to_target_ingestion_start_time, new.stage_to_target_ingestion_end_time,
            new.stage_to_target_ingestion_status, new.loaded_count, new.loaded_fingerprint,
            new.audit_start_time, new.audit_end_time, new.audit_process_status, new.audit_result_status,
            new.source_count, new.target_count, new.target_fingerprint, new.count_difference,
            new.percentage_difference, new.undated_count, new.elt_process_status, new.pipeline_final_status,
            new.phase_completed, new.pipeline_start_time, new.pipeline_end_time, new.is_invalidated_flag,
            new.is_replacement_run_flag, new.target_deletion_done_flag, new.is_revisit_due_flag,
            new.replaced_by_id, new.source_parts, new.removable_count, new.kept_source_count,
            CLOCK_TIMESTAMP()
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

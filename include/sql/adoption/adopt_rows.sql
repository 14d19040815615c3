-- Insert every row of the import into the ledger, with its events. A finished row keeps its figures; a row that will be
-- moved starts as new; invalidated rows keep their status and are no longer live. There is no ON CONFLICT: a row that
-- another session planned in the meantime stops the whole adoption.
WITH defaults AS (
    SELECT * FROM JSONB_POPULATE_RECORDSET(NULL::pipeline_lifecycle, %(defaults)s::jsonb)
),

entering AS NOT MATERIALIZED (
    SELECT
        imported.*,
        CASE WHEN imported.resolution = 'run_again' THEN 'PENDING' ELSE imported.pipeline_final_status END AS status,
        imported.resolution != 'run_again' AND imported.pipeline_final_status IN ('COMPLETED', 'SKIPPED') AS is_done,
        FORMAT(
            'row %%s of %%s%%s', imported.their_id, imported.imported_from,
            CASE WHEN imported.their_status IS NULL THEN ', without a status' ELSE ' says ' || imported.their_status END
        ) AS origin
    FROM pipeline_lifecycle_import AS imported
    WHERE imported.import_id = %(import_id)s
),

adopted AS (
    INSERT INTO pipeline_lifecycle (
        id, pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, static_metadata, target_day, query_window_start_at,
        query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
        target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        priority, job_id, retry_attempt, last_error,
        source_to_stage_ingestion_start_time, source_to_stage_ingestion_end_time, source_to_stage_ingestion_status,
        stage_file_count, stage_byte_count, staged_count, staged_fingerprint, quarantined_count,
        stage_to_target_ingestion_start_time, stage_to_target_ingestion_end_time, stage_to_target_ingestion_status,
        loaded_count, loaded_fingerprint, audit_start_time, audit_end_time, audit_process_status, audit_result_status,
        source_count, target_count, target_fingerprint, count_difference, percentage_difference, undated_count,
        elt_process_status, pipeline_final_status, phase_completed, pipeline_start_time, pipeline_end_time,
        is_invalidated_flag, is_replacement_run_flag, record_inserted_at
    )
    OVERRIDING SYSTEM VALUE
    SELECT
        e.adopted_lifecycle_id, COALESCE(e.pipeline_id, d.pipeline_id), COALESCE(e.source_name, d.source_name),
        e.source_object, COALESCE(e.stage_name, d.stage_name), COALESCE(e.target_name, d.target_name),
        COALESCE(e.target_object, d.target_object), COALESCE(e.data_domain, d.data_domain),
        e.timezone, COALESCE(e.granularity, d.granularity), e.config_hash, COALESCE(e.static_metadata, '{}'),
        e.target_day, e.query_window_start_at,
        e.query_window_end_at, e.time_interval, e.source_query_window_duration_minutes, e.source_id, e.stage_id,
        e.target_id, e.source_category, e.stage_category, e.target_category, e.key_x, e.key_y, e.key_z,
        COALESCE(e.collection_frequency, d.collection_frequency),
        COALESCE(e.source_data_frequency, d.source_data_frequency),
        COALESCE(e.expected_source_to_stage_duration_mins, d.expected_source_to_stage_duration_mins),
        COALESCE(e.expected_stage_to_target_duration_mins, d.expected_stage_to_target_duration_mins),
        COALESCE(e.expected_audit_duration_mins, d.expected_audit_duration_mins),
        COALESCE(e.expected_pipeline_duration_mins, d.expected_pipeline_duration_mins),
        COALESCE(e.priority, d.priority, 0), e.job_id,
        CASE WHEN e.status = 'PENDING' THEN 0 ELSE GREATEST(COALESCE(e.retry_attempt, 0), 0) END,
        CASE WHEN e.status = 'FAILED' THEN COALESCE(e.last_error, e.origin) END,
        CASE WHEN e.status != 'PENDING' THEN e.source_to_stage_ingestion_start_time END,
        CASE WHEN e.status != 'PENDING' THEN e.source_to_stage_ingestion_end_time END,
        CASE WHEN e.is_done THEN e.status ELSE 'PENDING' END,
        CASE WHEN e.is_done THEN e.stage_file_count END,
        CASE WHEN e.is_done THEN e.stage_byte_count END,
        CASE WHEN e.is_done THEN e.staged_count END,
        CASE WHEN e.is_done THEN e.staged_fingerprint END,
        CASE WHEN e.is_done THEN e.quarantined_count END,
        CASE WHEN e.status != 'PENDING' THEN e.stage_to_target_ingestion_start_time END,
        CASE WHEN e.status != 'PENDING' THEN e.stage_to_target_ingestion_end_time END,
        CASE WHEN e.is_done THEN e.status ELSE 'PENDING' END,
        CASE WHEN e.is_done THEN e.loaded_count END,
        CASE WHEN e.is_done THEN e.loaded_fingerprint END,
        CASE WHEN e.status != 'PENDING' THEN e.audit_start_time END,
        CASE WHEN e.status != 'PENDING' THEN e.audit_end_time END,
        CASE WHEN e.is_done THEN e.status ELSE 'PENDING' END,
        CASE WHEN e.status = 'COMPLETED' THEN 'PASSED' END,
        CASE WHEN e.is_done THEN e.source_count END,
        CASE WHEN e.is_done THEN e.target_count END,
        CASE WHEN e.is_done THEN e.target_fingerprint END,
        CASE WHEN e.is_done THEN e.count_difference END,
        CASE WHEN e.is_done THEN e.percentage_difference END,
        CASE WHEN e.is_done THEN e.undated_count END,
        CASE WHEN e.is_done THEN e.status ELSE 'PENDING' END,
        e.status,
        CASE WHEN e.status = 'COMPLETED' THEN 'AUDIT' END,
        CASE WHEN e.status != 'PENDING' THEN e.pipeline_start_time END,
        CASE
            WHEN e.status != 'PENDING' THEN COALESCE(e.pipeline_end_time, e.audit_end_time, e.record_last_updated_at, NOW())
        END,
        e.resolution = 'invalidated', COALESCE(e.is_replacement_run_flag, FALSE),
        COALESCE(e.record_inserted_at, NOW())
    FROM entering AS e
    INNER JOIN defaults AS d ON e.source_object = d.source_object
)

INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, from_status, to_status, to_phase, fence,
    dag_id, dag_run_id, task_id, map_index, try_number, reason, numbers
)
SELECT
    e.adopted_lifecycle_id, step.event, step.from_status, e.status,
    CASE WHEN e.status = 'COMPLETED' THEN 'AUDIT' END, 0,
    %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, step.reason,
    JSONB_BUILD_OBJECT('import_id', e.import_id, 'imported_from', e.imported_from, 'their_id', e.their_id)
FROM entering AS e
CROSS JOIN LATERAL (
    VALUES
    (
        'adopted', NULL,
        CASE e.resolution WHEN 'run_again' THEN CONCAT(e.origin, '; ', e.reason) ELSE e.origin END
    ),
    ('invalidated', e.status, e.reason)
) AS step (event, from_status, reason)
WHERE step.event = 'adopted' OR e.resolution = 'invalidated'

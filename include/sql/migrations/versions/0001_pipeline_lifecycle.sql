-- The ledger: one row per source object and query window, its append-only history, and requirement 3's view of it.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- One sequence for the whole ledger: a later fence is always the greater one, whatever row it belongs to.
CREATE SEQUENCE pipeline_lifecycle_fence AS bigint;

CREATE TABLE pipeline_lifecycle (
    -- identity and configuration
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline_id text NOT NULL,
    source_name text NOT NULL,
    source_object text NOT NULL,
    stage_name text,
    target_name text NOT NULL,
    target_object text,
    data_domain text,
    timezone text NOT NULL,
    granularity text NOT NULL,
    config_hash text,
    static_metadata jsonb NOT NULL DEFAULT '{}',
    -- window
    target_day date NOT NULL,
    query_window_start_at timestamptz NOT NULL,
    query_window_end_at timestamptz NOT NULL,
    time_interval text NOT NULL,
    source_query_window_duration_minutes numeric NOT NULL,
    -- ids and categories
    source_id text,
    stage_id text,
    target_id text,
    source_category text,
    stage_category text,
    target_category text,
    key_x text,
    key_y text,
    key_z text,
    -- plan
    collection_frequency text,
    source_data_frequency text,
    expected_source_to_stage_duration_mins numeric,
    expected_stage_to_target_duration_mins numeric,
    expected_audit_duration_mins numeric,
    expected_pipeline_duration_mins numeric,
    priority integer NOT NULL DEFAULT 0,
    -- owner and fence
    dag_id text,
    dag_run_id text,
    job_id text,
    fence bigint NOT NULL DEFAULT 0,
    heartbeat_at timestamptz,
    pipeline_locked_at timestamptz,
    not_before_at timestamptz,
    retry_attempt integer NOT NULL DEFAULT 0,
    last_error text,
    -- source to stage
    source_to_stage_ingestion_start_time timestamptz,
    source_to_stage_ingestion_end_time timestamptz,
    source_to_stage_ingestion_status text NOT NULL DEFAULT 'PENDING',
    stage_location text,
    stage_file_count integer,
    stage_byte_count bigint,
    staged_count bigint,
    staged_fingerprint numeric(38),
    quarantined_count bigint,
    -- stage to target
    stage_to_target_ingestion_start_time timestamptz,
    stage_to_target_ingestion_end_time timestamptz,
    stage_to_target_ingestion_status text NOT NULL DEFAULT 'PENDING',
    loaded_count bigint,
    loaded_fingerprint numeric(38),
    -- audit
    audit_start_time timestamptz,
    audit_end_time timestamptz,
    audit_process_status text NOT NULL DEFAULT 'PENDING',
    audit_result_status text,
    source_count bigint,
    target_count bigint,
    target_fingerprint numeric(38),
    count_difference bigint,
    percentage_difference numeric,
    undated_count bigint,
    -- pipeline status
    elt_process_status text NOT NULL DEFAULT 'PENDING',
    pipeline_final_status text NOT NULL DEFAULT 'PENDING',
    phase_completed text,
    pipeline_start_time timestamptz,
    pipeline_end_time timestamptz,
    -- flags
    is_invalidated_flag boolean NOT NULL DEFAULT FALSE,
    is_replacement_run_flag boolean NOT NULL DEFAULT FALSE,
    target_deletion_done_flag boolean NOT NULL DEFAULT FALSE,
    is_revisit_due_flag boolean NOT NULL DEFAULT FALSE,
    replaced_by_id bigint,
    -- record times
    record_inserted_at timestamptz NOT NULL DEFAULT now(), -- one age for all rows of one plan
    record_last_updated_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT window_is_half_open CHECK (query_window_start_at < query_window_end_at),
    CONSTRAINT retry_attempt_is_counted CHECK (retry_attempt >= 0),
    CONSTRAINT elt_process_status_is_known
    CHECK (elt_process_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SKIPPED')),
    CONSTRAINT source_to_stage_ingestion_status_is_known
    CHECK (source_to_stage_ingestion_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SKIPPED')),
    CONSTRAINT stage_to_target_ingestion_status_is_known
    CHECK (stage_to_target_ingestion_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SKIPPED')),
    CONSTRAINT audit_process_status_is_known
    CHECK (audit_process_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SKIPPED')),
    CONSTRAINT audit_result_status_is_known CHECK (audit_result_status IN ('PASSED', 'FAILED')),
    CONSTRAINT pipeline_final_status_is_known
    CHECK (pipeline_final_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'SKIPPED', 'FAILED')),
    CONSTRAINT phase_completed_is_known CHECK (phase_completed IN ('SOURCE_TO_STAGE', 'STAGE_TO_TARGET', 'AUDIT')),
    CONSTRAINT in_progress_has_an_owner
    CHECK (pipeline_final_status != 'IN_PROGRESS' OR (dag_id IS NOT NULL AND dag_run_id IS NOT NULL AND pipeline_locked_at IS NOT NULL)),
    CONSTRAINT pending_has_no_owner CHECK (pipeline_final_status != 'PENDING' OR (dag_run_id IS NULL AND heartbeat_at IS NULL)),
    CONSTRAINT completed_is_audited
    CHECK (pipeline_final_status != 'COMPLETED' OR (audit_result_status = 'PASSED' AND phase_completed = 'AUDIT')),
    CONSTRAINT replaced_row_is_invalidated CHECK (replaced_by_id IS NULL OR is_invalidated_flag),
    CONSTRAINT live_windows_do_not_overlap
    EXCLUDE USING gist (source_object WITH =, tstzrange(query_window_start_at, query_window_end_at) WITH &&)
    WHERE (NOT is_invalidated_flag)
);

CREATE INDEX pipeline_lifecycle_claim ON pipeline_lifecycle
(source_object, priority DESC, record_inserted_at, query_window_start_at)
WHERE pipeline_final_status = 'PENDING' AND NOT is_invalidated_flag;
CREATE INDEX pipeline_lifecycle_owner ON pipeline_lifecycle (dag_id, dag_run_id);
CREATE INDEX pipeline_lifecycle_held ON pipeline_lifecycle (pipeline_locked_at) WHERE pipeline_final_status = 'IN_PROGRESS';
CREATE INDEX pipeline_lifecycle_day ON pipeline_lifecycle (source_object, target_day);
CREATE INDEX pipeline_lifecycle_phase ON pipeline_lifecycle (phase_completed);
CREATE INDEX pipeline_lifecycle_replaced_by ON pipeline_lifecycle (replaced_by_id) WHERE replaced_by_id IS NOT NULL;

CREATE TABLE pipeline_lifecycle_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lifecycle_id bigint NOT NULL,
    event text NOT NULL,
    from_status text,
    to_status text NOT NULL,
    from_phase text,
    to_phase text,
    fence bigint NOT NULL,
    dag_id text NOT NULL,
    dag_run_id text NOT NULL,
    task_id text NOT NULL,
    map_index integer NOT NULL,
    try_number integer NOT NULL,
    reason text NOT NULL DEFAULT '',
    numbers jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX pipeline_lifecycle_events_row ON pipeline_lifecycle_events (lifecycle_id, id);
CREATE INDEX pipeline_lifecycle_events_run ON pipeline_lifecycle_events (dag_id, dag_run_id) WHERE event IN ('claimed', 'taken');

CREATE FUNCTION pipeline_lifecycle_events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'pipeline_lifecycle_events is append-only: % is refused', tg_op;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline_lifecycle_events
FOR EACH STATEMENT EXECUTE FUNCTION pipeline_lifecycle_events_are_append_only();

-- Requirement 3's table, read-only, with its names.
CREATE VIEW pipeline_records AS
SELECT
    id,
    target_day,
    query_window_start_at AS window_start_time,
    query_window_end_at AS window_end_time,
    time_interval,
    dag_run_id,
    pipeline_final_status AS pipeline_status,
    pipeline_locked_at,
    source_to_stage_ingestion_start_time,
    source_to_stage_ingestion_end_time,
    source_to_stage_ingestion_status,
    stage_to_target_ingestion_start_time,
    stage_to_target_ingestion_end_time,
    stage_to_target_ingestion_status,
    audit_start_time,
    audit_end_time,
    audit_process_status AS audit_status,
    audit_result_status AS audit_result,
    source_count,
    target_count,
    count_difference,
    percentage_difference,
    pipeline_start_time,
    pipeline_end_time,
    phase_completed,
    retry_attempt,
    record_inserted_at AS record_first_created_time,
    record_last_updated_at AS record_last_updated_time,
    key_x,
    key_y,
    key_z
FROM pipeline_lifecycle
WHERE NOT is_invalidated_flag;
CREATE FUNCTION pipeline_records_is_read_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'pipeline_records is a read-only view of pipeline_lifecycle: % is refused', tg_op;
END
$$;
CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON pipeline_records
FOR EACH ROW EXECUTE FUNCTION pipeline_records_is_read_only();

COMMENT ON TABLE pipeline_lifecycle IS 'The ledger: one row per source object and query window. Its only writer is the LifecycleStore; its history is pipeline_lifecycle_events.';
COMMENT ON TABLE pipeline_lifecycle_events IS 'Append-only: every transition of a ledger row, written in the same statement as the transition.';
COMMENT ON VIEW pipeline_records IS 'Live rows of the ledger under the names of the framework requirement; read-only.';
COMMENT ON SEQUENCE pipeline_lifecycle_fence IS 'Fences of the whole ledger: every start of every task takes the next number; the newest start wins.';
COMMENT ON COLUMN pipeline_lifecycle.id IS 'Identity of the row; staged lines and target rows carry it as _lifecycle_id.';
COMMENT ON COLUMN pipeline_lifecycle.pipeline_id IS 'Pipeline file that planned the row (include/pipelines/<id>.yaml).';
COMMENT ON COLUMN pipeline_lifecycle.source_name IS 'Name of the source system.';
COMMENT ON COLUMN pipeline_lifecycle.source_object IS 'The ledger''s key of one pipeline; with query_window_start_at it identifies a window.';
COMMENT ON COLUMN pipeline_lifecycle.stage_name IS 'Name of the stage between source and target.';
COMMENT ON COLUMN pipeline_lifecycle.target_name IS 'Name of the target system.';
COMMENT ON COLUMN pipeline_lifecycle.target_object IS 'Table that is loaded.';
COMMENT ON COLUMN pipeline_lifecycle.data_domain IS 'Business domain, from the pipeline file.';
COMMENT ON COLUMN pipeline_lifecycle.timezone IS 'IANA zone in which target_day is a calendar day.';
COMMENT ON COLUMN pipeline_lifecycle.granularity IS 'Length of a window as configured when the row was planned (query_window_delta_label).';
COMMENT ON COLUMN pipeline_lifecycle.config_hash IS 'SHA-256 of the configuration that planned the row.';
COMMENT ON COLUMN pipeline_lifecycle.static_metadata IS 'Other static values of the pipeline''s default_record.';
COMMENT ON COLUMN pipeline_lifecycle.target_day IS 'Local calendar day (in timezone) to which the window belongs.';
COMMENT ON COLUMN pipeline_lifecycle.query_window_start_at IS 'Inclusive start of the window, an instant.';
COMMENT ON COLUMN pipeline_lifecycle.query_window_end_at IS 'Exclusive end of the window, an instant; never beyond the first instant of the next local day.';
COMMENT ON COLUMN pipeline_lifecycle.time_interval IS 'Elapsed length of the window as text, such as 1h.';
COMMENT ON COLUMN pipeline_lifecycle.source_query_window_duration_minutes IS 'Elapsed length of the window in minutes.';
COMMENT ON COLUMN pipeline_lifecycle.source_id IS 'Derived id of the window at the source.';
COMMENT ON COLUMN pipeline_lifecycle.stage_id IS 'Derived id of the window at the stage.';
COMMENT ON COLUMN pipeline_lifecycle.target_id IS 'Derived id of the window at the target.';
COMMENT ON COLUMN pipeline_lifecycle.source_category IS 'Derived category of the source.';
COMMENT ON COLUMN pipeline_lifecycle.stage_category IS 'Derived category of the stage.';
COMMENT ON COLUMN pipeline_lifecycle.target_category IS 'Derived category of the target.';
COMMENT ON COLUMN pipeline_lifecycle.key_x IS 'Derived business key (function_x).';
COMMENT ON COLUMN pipeline_lifecycle.key_y IS 'Derived business key (function_y).';
COMMENT ON COLUMN pipeline_lifecycle.key_z IS 'Derived business key (function_z).';
COMMENT ON COLUMN pipeline_lifecycle.collection_frequency IS 'How often the pipeline collects, from the pipeline file.';
COMMENT ON COLUMN pipeline_lifecycle.source_data_frequency IS 'How often the source gets new data, from the pipeline file.';
COMMENT ON COLUMN pipeline_lifecycle.expected_source_to_stage_duration_mins IS 'Expected minutes from source to stage.';
COMMENT ON COLUMN pipeline_lifecycle.expected_stage_to_target_duration_mins IS 'Expected minutes from stage to target.';
COMMENT ON COLUMN pipeline_lifecycle.expected_audit_duration_mins IS 'Expected minutes of the audit.';
COMMENT ON COLUMN pipeline_lifecycle.expected_pipeline_duration_mins IS 'Expected minutes of the whole window.';
COMMENT ON COLUMN pipeline_lifecycle.priority IS 'Claim order: higher first.';
COMMENT ON COLUMN pipeline_lifecycle.dag_id IS 'DAG of the owning run; kept after the window has finished.';
COMMENT ON COLUMN pipeline_lifecycle.dag_run_id IS 'Run that owns the window (up to 250 characters); kept after the window has finished.';
COMMENT ON COLUMN pipeline_lifecycle.job_id IS 'Job of an outside scheduler; NULL when planned.';
COMMENT ON COLUMN pipeline_lifecycle.fence IS 'Number of the newest task start on this window; a write under any other is refused.';
COMMENT ON COLUMN pipeline_lifecycle.heartbeat_at IS 'Last sign of life of a running task; NULL while none runs. The lease is this plus stale_threshold_hours.';
COMMENT ON COLUMN pipeline_lifecycle.pipeline_locked_at IS 'When the owning run claimed the window.';
COMMENT ON COLUMN pipeline_lifecycle.not_before_at IS 'Not claimed before this instant (database clock); grows with every spent attempt.';
COMMENT ON COLUMN pipeline_lifecycle.retry_attempt IS 'Attempts spent: tasks ended failed, owners taken over, audits failed.';
COMMENT ON COLUMN pipeline_lifecycle.last_error IS 'Reasons of the spent attempts.';
COMMENT ON COLUMN pipeline_lifecycle.source_to_stage_ingestion_start_time IS 'When the extract began.';
COMMENT ON COLUMN pipeline_lifecycle.source_to_stage_ingestion_end_time IS 'When its manifest was written.';
COMMENT ON COLUMN pipeline_lifecycle.source_to_stage_ingestion_status IS 'PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED.';
COMMENT ON COLUMN pipeline_lifecycle.stage_location IS 'Key prefix of the staged files; contains the fence; a manifest there proves that it is complete.';
COMMENT ON COLUMN pipeline_lifecycle.stage_file_count IS 'Files in the manifest.';
COMMENT ON COLUMN pipeline_lifecycle.stage_byte_count IS 'Bytes as stored.';
COMMENT ON COLUMN pipeline_lifecycle.staged_count IS 'Rows in the manifest.';
COMMENT ON COLUMN pipeline_lifecycle.staged_fingerprint IS 'Sum of id hashes in the manifest.';
COMMENT ON COLUMN pipeline_lifecycle.quarantined_count IS 'Documents put beside the stage because no target can hold them.';
COMMENT ON COLUMN pipeline_lifecycle.stage_to_target_ingestion_start_time IS 'When the load began.';
COMMENT ON COLUMN pipeline_lifecycle.stage_to_target_ingestion_end_time IS 'When its receipt was known to be committed.';
COMMENT ON COLUMN pipeline_lifecycle.stage_to_target_ingestion_status IS 'PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED.';
COMMENT ON COLUMN pipeline_lifecycle.loaded_count IS 'Rows that the publish counted in its own transaction.';
COMMENT ON COLUMN pipeline_lifecycle.loaded_fingerprint IS 'Their sum of id hashes.';
COMMENT ON COLUMN pipeline_lifecycle.audit_start_time IS 'When the audit began.';
COMMENT ON COLUMN pipeline_lifecycle.audit_end_time IS 'When it ended.';
COMMENT ON COLUMN pipeline_lifecycle.audit_process_status IS 'Whether the audit itself ran: PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED.';
COMMENT ON COLUMN pipeline_lifecycle.audit_result_status IS 'What it found: PASSED or FAILED; NULL before.';
COMMENT ON COLUMN pipeline_lifecycle.source_count IS 'Rows at the source at the last count.';
COMMENT ON COLUMN pipeline_lifecycle.target_count IS 'Rows at the target at the last count.';
COMMENT ON COLUMN pipeline_lifecycle.target_fingerprint IS 'Their sum of id hashes.';
COMMENT ON COLUMN pipeline_lifecycle.count_difference IS 'source_count - target_count - quarantined_count.';
COMMENT ON COLUMN pipeline_lifecycle.percentage_difference IS 'count_difference in percent of source_count; NULL when the source has no rows.';
COMMENT ON COLUMN pipeline_lifecycle.undated_count IS 'Documents of the source without a usable event time; they belong to no window.';
COMMENT ON COLUMN pipeline_lifecycle.elt_process_status IS 'Source to stage to target as one: PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED.';
COMMENT ON COLUMN pipeline_lifecycle.pipeline_final_status IS 'PENDING, IN_PROGRESS, COMPLETED, SKIPPED (loaded already, with proof) or FAILED.';
COMMENT ON COLUMN pipeline_lifecycle.phase_completed IS 'NULL, SOURCE_TO_STAGE, STAGE_TO_TARGET or AUDIT: where the next attempt resumes.';
COMMENT ON COLUMN pipeline_lifecycle.pipeline_start_time IS 'When the present owner claimed the window.';
COMMENT ON COLUMN pipeline_lifecycle.pipeline_end_time IS 'When the window became COMPLETED, SKIPPED or FAILED.';
COMMENT ON COLUMN pipeline_lifecycle.is_invalidated_flag IS 'Replaced: no longer live, never claimed again.';
COMMENT ON COLUMN pipeline_lifecycle.is_replacement_run_flag IS 'The row replaces an invalidated one.';
COMMENT ON COLUMN pipeline_lifecycle.target_deletion_done_flag IS 'The rows that this invalidated row had loaded are deleted at the target.';
COMMENT ON COLUMN pipeline_lifecycle.is_revisit_due_flag IS 'The source had changed since the extract when the window was audited.';
COMMENT ON COLUMN pipeline_lifecycle.replaced_by_id IS 'Row that replaces this invalidated one.';
COMMENT ON COLUMN pipeline_lifecycle.record_inserted_at IS 'When the row was planned.';
COMMENT ON COLUMN pipeline_lifecycle.record_last_updated_at IS 'When the row last changed.';
COMMENT ON COLUMN pipeline_lifecycle_events.lifecycle_id IS 'The ledger row; its history stays when the row itself is gone.';
COMMENT ON COLUMN pipeline_lifecycle_events.event IS 'What happened: planned, claimed, taken, completed, failed, taken_over, ...';
COMMENT ON COLUMN pipeline_lifecycle_events.from_status IS 'pipeline_final_status before; NULL for planned.';
COMMENT ON COLUMN pipeline_lifecycle_events.to_status IS 'pipeline_final_status after.';
COMMENT ON COLUMN pipeline_lifecycle_events.from_phase IS 'phase_completed before.';
COMMENT ON COLUMN pipeline_lifecycle_events.to_phase IS 'phase_completed after.';
COMMENT ON COLUMN pipeline_lifecycle_events.fence IS 'The row''s fence after the transition.';
COMMENT ON COLUMN pipeline_lifecycle_events.dag_id IS 'Actor: DAG, or the command of a person.';
COMMENT ON COLUMN pipeline_lifecycle_events.dag_run_id IS 'Actor: DAG run.';
COMMENT ON COLUMN pipeline_lifecycle_events.task_id IS 'Actor: task.';
COMMENT ON COLUMN pipeline_lifecycle_events.map_index IS 'Actor: map index, -1 for a task that is not mapped.';
COMMENT ON COLUMN pipeline_lifecycle_events.try_number IS 'Actor: try, 0 outside a scheduled try.';
COMMENT ON COLUMN pipeline_lifecycle_events.reason IS 'Why, for people.';
COMMENT ON COLUMN pipeline_lifecycle_events.numbers IS 'Counts, durations and other figures.';
COMMENT ON COLUMN pipeline_lifecycle_events.occurred_at IS 'Database clock.';

-- Comments of tables and columns in whole sentences; they are what people read in the database and in docs/ledger.md.
COMMENT ON TABLE overdue_alerts IS 'Overdue alerts that were already sent: each is sent once per overdue_repeat of its pipeline.';

COMMENT ON COLUMN pipeline_lifecycle.job_id IS 'Job of another system that moved the window, from that system''s report or an adopted table; else NULL.';
COMMENT ON COLUMN pipeline_lifecycle.loaded_fingerprint IS 'Sum of the id hashes of the loaded rows.';
COMMENT ON COLUMN pipeline_lifecycle.target_fingerprint IS 'Sum of the id hashes of the rows at the target.';
COMMENT ON COLUMN pipeline_lifecycle.audit_end_time IS 'When the audit ended.';
COMMENT ON COLUMN pipeline_lifecycle.audit_result_status IS 'Result of the audit: PASSED or FAILED; NULL before the audit.';
COMMENT ON COLUMN pipeline_lifecycle.is_invalidated_flag IS 'TRUE: the row was replaced. It is no longer live and is never claimed again.';
COMMENT ON COLUMN pipeline_lifecycle.is_replacement_run_flag IS 'TRUE: the row replaces an invalidated one.';
COMMENT ON COLUMN pipeline_lifecycle.target_deletion_done_flag IS 'TRUE: the rows that this invalidated row had loaded are deleted from the target.';
COMMENT ON COLUMN pipeline_lifecycle.is_revisit_due_flag IS 'TRUE: the source changed between extract and audit, so audit_windows compares the window again.';
COMMENT ON COLUMN pipeline_lifecycle.source_parts IS 'What the rows were read from: index names and UUIDs, or table and server; each revisit compares it. NULL: not read yet, or more than 100 parts (the manifest lists them all).';
COMMENT ON COLUMN pipeline_lifecycle.removable_count IS 'How many rows of the window its load may remove from the target. NULL: the pipeline''s vanished_data_limit decides.';
COMMENT ON COLUMN pipeline_lifecycle.is_removal_approved_flag IS 'TRUE: a person asked for this load, so it may remove any number of rows.';
COMMENT ON COLUMN pipeline_lifecycle.kept_source_count IS 'Rows at the source when a person decided to keep what is loaded; a revisit that counts the same number reports no change.';

COMMENT ON COLUMN pipeline_lifecycle_events.id IS 'Identity of the event.';
COMMENT ON COLUMN pipeline_lifecycle_events.occurred_at IS 'When the transition was written; database clock.';

COMMENT ON COLUMN ledger_identity.is_only IS 'Always TRUE: the table has exactly one row.';
COMMENT ON COLUMN ledger_identity.system_identifier IS 'Identifier of the Postgres cluster, set by initdb; a standby shares its primary''s.';
COMMENT ON COLUMN ledger_identity.timeline IS 'Timeline of the write-ahead log; a promoted standby or a restored cluster starts a new one. It forms the high bits of every fence.';
COMMENT ON COLUMN ledger_identity.database_oid IS 'OID of the database; a copy in the same cluster has another one.';
COMMENT ON COLUMN ledger_identity.recorded_by IS 'DAG run or person that recorded it.';

COMMENT ON COLUMN lifecycle_mirrors.watermark IS 'Oldest transaction that was still open when the ledger was read; the next cycle reads every change since then.';
COMMENT ON COLUMN lifecycle_mirrors.columns IS 'Ledger columns and their types at the last cycle; when they differ, everything is mirrored again.';
COMMENT ON COLUMN lifecycle_mirrors.pipelines IS 'Pipelines whose rows are in this mirror; when one is added, everything is mirrored again.';
COMMENT ON COLUMN lifecycle_mirrors.row_count IS 'Rows written by the last cycle.';
COMMENT ON COLUMN lifecycle_mirrors.full_because IS 'Why the last cycle mirrored everything; NULL: it wrote changed rows only.';

COMMENT ON COLUMN overdue_alerts.source_object IS 'Source of the overdue window or day.';
COMMENT ON COLUMN overdue_alerts.alerted_at IS 'When people were notified.';

COMMENT ON COLUMN pipeline_lifecycle_import.pipeline_final_status IS 'Status of the row in the ledger''s words; IN_PROGRESS becomes PENDING because its owner is not known here.';
COMMENT ON COLUMN pipeline_lifecycle_import.is_invalidated_flag IS 'TRUE: the older system had invalidated the row.';
COMMENT ON COLUMN pipeline_lifecycle_import.is_replacement_run_flag IS 'TRUE: the row replaces one that may have loaded data.';
COMMENT ON COLUMN pipeline_lifecycle_import.import_id IS 'Number of the import: one for each `ledger adopt --apply`.';
COMMENT ON COLUMN pipeline_lifecycle_import.imported_from IS 'Schema and name of the older table.';
COMMENT ON COLUMN pipeline_lifecycle_import.their_id IS 'Id of the row in the older table, as text; with imported_from and source_object it prevents a second adoption. A row without an id has its window here; #2, #3, … marks a repeated id or window.';
COMMENT ON COLUMN pipeline_lifecycle_import.their_status IS 'Status of the row in the older table, unchanged.';
COMMENT ON COLUMN pipeline_lifecycle_import.reason IS 'Why the row was not simply kept.';
COMMENT ON COLUMN pipeline_lifecycle_import.adopted_lifecycle_id IS 'Row of the ledger that it became.';

COMMENT ON COLUMN state_manager_plans.plan_id IS 'UTC day of the plan and the first eight digits of its hash; a number follows when the same plan was applied and made again.';
COMMENT ON COLUMN state_manager_plans.created_at IS 'When the plan was first made; finding the same open plan again does not change it.';
COMMENT ON COLUMN state_manager_plans.created_by IS 'DAG run or person that made the plan.';
COMMENT ON COLUMN state_manager_plans.hash IS 'SHA-256 of the items as canonical JSON; a plan whose items do not match it is not applied.';
COMMENT ON COLUMN state_manager_plans.needs_approval IS 'Why a person must agree, as judged when the plan was made; NULL: nobody must. It is judged again when the plan is applied.';
COMMENT ON COLUMN state_manager_plans.approved_by IS 'Person who agreed in Airflow; NULL when nobody had to.';
COMMENT ON COLUMN state_manager_plans.applied_at IS 'When the last of its sources was finished; NULL: the plan is open.';
COMMENT ON COLUMN state_manager_plans.applied_by IS 'DAG run or person that applied the plan.';
COMMENT ON COLUMN state_manager_plans.outcome IS 'For each finished source: windows inserted, rows invalidated, and items that were skipped because they had changed since the plan was made.';

COMMENT ON COLUMN window_revisits.revisited_at IS 'When the day was compared.';
COMMENT ON COLUMN window_revisits.rows_before IS 'Rows that were read from these windows when they were loaded.';
COMMENT ON COLUMN window_revisits.rows_now IS 'Rows of these windows at the source now.';
COMMENT ON COLUMN window_revisits.late_rows IS 'Sum of added rows over windows that grew.';
COMMENT ON COLUMN window_revisits.gone_rows IS 'Sum of missing rows over windows that shrank.';
COMMENT ON COLUMN window_revisits.lags IS 'How late the added rows were, as [after, by, rows]: missing `after` hours past the window''s end, present `by` hours past it.';
COMMENT ON COLUMN window_revisits.dag_id IS 'DAG, or the command of a person, that compared the day.';
COMMENT ON COLUMN window_revisits.dag_run_id IS 'DAG run, or person, that compared the day.';

-- Create two group roles on the ledger: one for the pipelines' login at run time, one for analysts and dashboards. Run
-- this file after every `ledger migrate`, in the ledger's database, as the owner of the tables; if the roles don't
-- exist yet, as a user who may also create roles. It is safe to run it again. Then: GRANT ledger_runtime TO <the
-- pipelines' login>.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_runtime') THEN
        CREATE ROLE ledger_runtime NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_reader') THEN
        CREATE ROLE ledger_reader NOLOGIN;
    END IF;
END
$$;

REVOKE CREATE ON SCHEMA public FROM public, ledger_runtime, ledger_reader;
GRANT USAGE ON SCHEMA public TO ledger_runtime, ledger_reader;

REVOKE ALL ON pipeline_lifecycle, pipeline_lifecycle_events, pipeline_records FROM public, ledger_runtime, ledger_reader;
REVOKE ALL ON SEQUENCE pipeline_lifecycle_fence, pipeline_lifecycle_id_seq, pipeline_lifecycle_events_id_seq
FROM public, ledger_runtime, ledger_reader;

-- Rows are planned and changed, never deleted; their history only grows.
GRANT SELECT, INSERT, UPDATE ON pipeline_lifecycle TO ledger_runtime;
GRANT SELECT, INSERT ON pipeline_lifecycle_events TO ledger_runtime;
GRANT SELECT ON pipeline_records TO ledger_runtime;
-- Fences and ids are drawn, never set: only the owner may run `ledger rebuild`, which sets them.
GRANT USAGE ON SEQUENCE pipeline_lifecycle_fence, pipeline_lifecycle_id_seq, pipeline_lifecycle_events_id_seq
TO ledger_runtime;

GRANT SELECT ON pipeline_lifecycle, pipeline_lifecycle_events, pipeline_records TO ledger_reader;

-- `ledger adopt` writes the import and the decisions about it; it also needs SELECT on the older table.
REVOKE ALL ON pipeline_lifecycle_import, pipeline_lifecycle_importing FROM public, ledger_runtime, ledger_reader;
REVOKE ALL ON SEQUENCE pipeline_lifecycle_import_id_seq FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, UPDATE ON pipeline_lifecycle_import TO ledger_runtime;
GRANT SELECT ON pipeline_lifecycle_importing TO ledger_runtime;
GRANT USAGE ON SEQUENCE pipeline_lifecycle_import_id_seq TO ledger_runtime;
REVOKE ALL ON FUNCTION pipeline_lifecycle_import_know_sizes() FROM public, ledger_reader;
GRANT EXECUTE ON FUNCTION pipeline_lifecycle_import_know_sizes() TO ledger_runtime;
GRANT SELECT ON pipeline_lifecycle_import TO ledger_reader;

-- The steps of a state manager's plan are written once; afterwards only their outcome is.
REVOKE ALL ON state_manager_plans FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, UPDATE (approved_by, applied_at, applied_by, outcome) ON state_manager_plans TO ledger_runtime;
GRANT SELECT ON state_manager_plans TO ledger_reader;

-- A campaign is created once; afterwards only its state changes.
REVOKE ALL ON backfill_campaigns FROM public, ledger_runtime, ledger_reader;
REVOKE ALL ON SEQUENCE backfill_campaigns_campaign_id_seq FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, UPDATE (state, state_changed_at, state_changed_by, planned_at) ON backfill_campaigns TO ledger_runtime;
GRANT USAGE ON SEQUENCE backfill_campaigns_campaign_id_seq TO ledger_runtime;
GRANT SELECT ON backfill_campaigns TO ledger_reader;

-- Findings of a revisit are only added.
REVOKE ALL ON window_revisits FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT ON window_revisits TO ledger_runtime;
GRANT SELECT ON window_revisits TO ledger_reader;

-- Every cycle of a mirror overwrites how far the mirror has come.
REVOKE ALL ON lifecycle_mirrors FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, UPDATE ON lifecycle_mirrors TO ledger_runtime;
GRANT SELECT ON lifecycle_mirrors TO ledger_reader;

-- Only the owner records which ledger this is, with `ledger adopt-failover` and `ledger rebuild`.
REVOKE ALL ON ledger_identity, ledger_identity_seen FROM public, ledger_runtime, ledger_reader;
GRANT SELECT ON ledger_identity, ledger_identity_seen TO ledger_runtime, ledger_reader;

-- Reports of overdue windows are deleted after a while.
REVOKE ALL ON overdue_alerts FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, DELETE ON overdue_alerts TO ledger_runtime;
GRANT SELECT ON overdue_alerts TO ledger_reader;

-- Marks of days are added and deleted; a change of the ledger's rows adds them with the rights of who makes it.
REVOKE ALL ON settled_days FROM public, ledger_runtime, ledger_reader;
REVOKE ALL ON SEQUENCE settled_days_id_seq FROM public, ledger_runtime, ledger_reader;
GRANT SELECT, INSERT, DELETE ON settled_days TO ledger_runtime;
GRANT USAGE ON SEQUENCE settled_days_id_seq TO ledger_runtime;
GRANT SELECT ON settled_days TO ledger_reader;

-- Two group roles on the ledger: what the pipelines' login may do at run time, and what analysts and dashboards may.
-- Run it after every `ledger migrate`, in the ledger's database, as the tables' owner; where the roles don't exist yet, as
-- somebody who may create roles, too. Safe to run again. Then: GRANT ledger_runtime TO <the pipelines' login>.
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

-- Rows are planned and changed, never deleted; their history is only ever written on.
GRANT SELECT, INSERT, UPDATE ON pipeline_lifecycle TO ledger_runtime;
GRANT SELECT, INSERT ON pipeline_lifecycle_events TO ledger_runtime;
GRANT SELECT ON pipeline_records TO ledger_runtime;
-- Fences and ids are drawn, never set: `ledger rebuild`, which sets them, is the owner's.
GRANT USAGE ON SEQUENCE pipeline_lifecycle_fence, pipeline_lifecycle_id_seq, pipeline_lifecycle_events_id_seq
TO ledger_runtime;

GRANT SELECT ON pipeline_lifecycle, pipeline_lifecycle_events, pipeline_records TO ledger_reader;

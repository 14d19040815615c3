-- Plans of the state manager: what it would do, shown before it is done.
CREATE TABLE state_manager_plans (
    plan_id text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT NOW(),
    created_by text NOT NULL,
    sources text[] NOT NULL,
    items jsonb NOT NULL,
    findings jsonb NOT NULL DEFAULT '{}',
    hash text NOT NULL,
    needs_approval text,
    approved_by text,
    applied_at timestamptz,
    applied_by text,
    outcome jsonb,
    CONSTRAINT plan_has_items CHECK (JSONB_TYPEOF(items) = 'array' AND items <> '[]'),
    CONSTRAINT applied_plan_has_an_outcome CHECK (applied_at IS NULL OR (applied_by IS NOT NULL AND outcome IS NOT NULL))
);

-- The same plan made again every day stays one row until it is applied.
CREATE UNIQUE INDEX one_open_plan_per_hash ON state_manager_plans (hash) WHERE applied_at IS NULL;

COMMENT ON TABLE state_manager_plans IS 'Plans of the DAG state_manager: stored by its dry run, executed only when somebody names the plan.';
COMMENT ON COLUMN state_manager_plans.plan_id IS 'Day on which it was made (UTC) and the first eight digits of its hash; a number behind them when that plan was applied and had to be made again.';
COMMENT ON COLUMN state_manager_plans.created_at IS 'When it was made first; an open plan that is found again stays as it is.';
COMMENT ON COLUMN state_manager_plans.created_by IS 'DAG and run, or a person, that made it.';
COMMENT ON COLUMN state_manager_plans.sources IS 'Source objects that its items touch.';
COMMENT ON COLUMN state_manager_plans.items IS 'Its steps in order: action, windows to plan, rows to invalidate with status and fence as they were, reason.';
COMMENT ON COLUMN state_manager_plans.findings IS 'Per source: figures of the analysis, findings by kind, and what is left to a person.';
COMMENT ON COLUMN state_manager_plans.hash IS 'SHA-256 of the items as canonical JSON; a plan whose items don''t have it is not applied.';
COMMENT ON COLUMN state_manager_plans.needs_approval IS 'Why a person had to agree when it was made; NULL: nobody. Judged again when it is applied.';
COMMENT ON COLUMN state_manager_plans.approved_by IS 'Who agreed, in Airflow; NULL where nobody had to.';
COMMENT ON COLUMN state_manager_plans.applied_at IS 'When the last of its sources was through; NULL: open.';
COMMENT ON COLUMN state_manager_plans.applied_by IS 'DAG and run, or a person, that applied it.';
COMMENT ON COLUMN state_manager_plans.outcome IS 'Per source that is through: windows inserted, rows invalidated, and what had changed since the plan was made.';

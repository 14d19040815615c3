-- Backfill campaigns: what somebody asked to be loaded (again), and how much of it at once.
CREATE TABLE backfill_campaigns (
    campaign_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_object text NOT NULL,
    pipeline_id text NOT NULL,
    mode text NOT NULL,
    ranges jsonb NOT NULL,
    granularity text,
    window_order text NOT NULL,
    concurrency integer,
    priority integer NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'RUNNING',
    dag_id text NOT NULL,
    dag_run_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    planned_at timestamptz,
    state_changed_at timestamptz,
    state_changed_by text,

    CONSTRAINT campaign_mode_is_known CHECK (mode IN ('missing', 'failed', 'all')),
    CONSTRAINT campaign_order_is_known CHECK (window_order IN ('oldest_first', 'newest_first')),
    CONSTRAINT campaign_state_is_known CHECK (state IN ('RUNNING', 'PAUSED', 'CANCELLED')),
    CONSTRAINT campaign_concurrency_is_positive CHECK (concurrency > 0),
    CONSTRAINT one_campaign_of_a_run_and_source UNIQUE (dag_id, dag_run_id, source_object)
);

ALTER TABLE pipeline_lifecycle ADD COLUMN campaign_id bigint;

CREATE INDEX pipeline_lifecycle_campaign ON pipeline_lifecycle (campaign_id, pipeline_final_status)
WHERE campaign_id IS NOT NULL AND NOT is_invalidated_flag;

COMMENT ON TABLE backfill_campaigns IS 'One row per backfill of one source: what was asked for, and whether claims may take its windows now.';
COMMENT ON COLUMN backfill_campaigns.campaign_id IS 'Identity; windows carry it as campaign_id.';
COMMENT ON COLUMN backfill_campaigns.source_object IS 'Source whose windows it loads.';
COMMENT ON COLUMN backfill_campaigns.pipeline_id IS 'Pipeline whose runs drain it.';
COMMENT ON COLUMN backfill_campaigns.mode IS 'missing: windows without a live row. failed: FAILED ones. all: those, and finished ones are replaced.';
COMMENT ON COLUMN backfill_campaigns.ranges IS 'Asked ranges, [start, end] each, end exclusive, ISO UTC.';
COMMENT ON COLUMN backfill_campaigns.granularity IS 'Length of windows that it plans; NULL: the pipeline''s.';
COMMENT ON COLUMN backfill_campaigns.window_order IS 'oldest_first or newest_first: which of its windows are claimed first.';
COMMENT ON COLUMN backfill_campaigns.concurrency IS 'At most so many of its windows are in progress; NULL: no limit of its own.';
COMMENT ON COLUMN backfill_campaigns.priority IS 'Given to its windows; higher first, after the share of scheduled windows.';
COMMENT ON COLUMN backfill_campaigns.reason IS 'Why somebody asked for it.';
COMMENT ON COLUMN backfill_campaigns.state IS 'RUNNING, PAUSED (its windows are not claimed) or CANCELLED (for good).';
COMMENT ON COLUMN backfill_campaigns.dag_id IS 'Who asked: DAG, or the command of a person.';
COMMENT ON COLUMN backfill_campaigns.dag_run_id IS 'Who asked: DAG run, or person.';
COMMENT ON COLUMN backfill_campaigns.created_at IS 'When it was asked for.';
COMMENT ON COLUMN backfill_campaigns.planned_at IS 'When all of its windows had joined it; NULL: that was interrupted, or is going on.';
COMMENT ON COLUMN backfill_campaigns.state_changed_at IS 'When it was last paused, resumed or cancelled.';
COMMENT ON COLUMN backfill_campaigns.state_changed_by IS 'By whom.';
COMMENT ON COLUMN pipeline_lifecycle.campaign_id IS 'Backfill that the window belongs to, finished or not; NULL: none.';

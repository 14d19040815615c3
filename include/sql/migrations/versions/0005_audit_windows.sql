-- Revisits: closed windows of one day that were compared with their source (again), and how late its rows came.
CREATE TABLE window_revisits (
    source_object text NOT NULL,
    target_day date NOT NULL,
    days_after integer NOT NULL,
    revisited_at timestamptz NOT NULL DEFAULT now(),
    mode text NOT NULL,
    windows bigint NOT NULL,
    changed bigint NOT NULL,
    rows_before bigint NOT NULL,
    rows_now bigint NOT NULL,
    late_rows bigint NOT NULL,
    gone_rows bigint NOT NULL,
    lags jsonb NOT NULL,
    dag_id text NOT NULL,
    dag_run_id text NOT NULL,

    PRIMARY KEY (source_object, target_day, days_after, dag_id, dag_run_id),
    CONSTRAINT revisit_mode_is_known CHECK (mode IN ('count', 'fingerprint'))
);

CREATE INDEX window_revisits_recent ON window_revisits (source_object, revisited_at);

CREATE INDEX pipeline_lifecycle_revisit_due ON pipeline_lifecycle (source_object, query_window_start_at)
WHERE is_revisit_due_flag AND NOT is_invalidated_flag;

COMMENT ON TABLE window_revisits IS 'One row per revisit of a day: its closed windows were compared with the source again. Rows are only added.';
COMMENT ON COLUMN window_revisits.source_object IS 'Source whose windows were compared.';
COMMENT ON COLUMN window_revisits.target_day IS 'Local day of the windows.';
COMMENT ON COLUMN window_revisits.days_after IS 'Local days between that day and the revisit.';
COMMENT ON COLUMN window_revisits.revisited_at IS 'When.';
COMMENT ON COLUMN window_revisits.mode IS 'count: one histogram. fingerprint: every id was read, too.';
COMMENT ON COLUMN window_revisits.windows IS 'Closed windows that were compared.';
COMMENT ON COLUMN window_revisits.changed IS 'Windows that differed.';
COMMENT ON COLUMN window_revisits.rows_before IS 'Rows that these windows had read before.';
COMMENT ON COLUMN window_revisits.rows_now IS 'Rows that the source has in them.';
COMMENT ON COLUMN window_revisits.late_rows IS 'Rows more, in windows that have more.';
COMMENT ON COLUMN window_revisits.gone_rows IS 'Rows less, in windows that have less.';
COMMENT ON COLUMN window_revisits.lags IS 'How late the late rows were, [after, by, rows] each: hours after the window''s end when they were not there yet, and when they were.';
COMMENT ON COLUMN window_revisits.dag_id IS 'Who looked: DAG, or the command of a person.';
COMMENT ON COLUMN window_revisits.dag_run_id IS 'Who looked: DAG run, or person.';

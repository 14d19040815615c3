-- What people were told to be overdue, so that they are not told again at every check.
CREATE TABLE overdue_alerts (
    source_object text NOT NULL,
    subject text NOT NULL,
    alerted_at timestamptz NOT NULL,

    PRIMARY KEY (source_object, subject)
);

CREATE INDEX pipeline_lifecycle_unfinished ON pipeline_lifecycle (source_object, query_window_end_at)
WHERE NOT is_invalidated_flag AND pipeline_final_status IN ('PENDING', 'IN_PROGRESS', 'FAILED');

COMMENT ON TABLE overdue_alerts IS 'What check_overdue_windows has told people to be overdue; forgotten after the pipeline''s overdue_repeat.';
COMMENT ON COLUMN overdue_alerts.source_object IS 'Source of the window or day.';
COMMENT ON COLUMN overdue_alerts.subject IS 'Ledger row ("window 12") or local day without windows ("day 2013-03-09").';
COMMENT ON COLUMN overdue_alerts.alerted_at IS 'When people were told.';

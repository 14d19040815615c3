-- What a window was read from, and how many rows its load may take away from the target without a person's yes.
ALTER TABLE pipeline_lifecycle ADD COLUMN source_parts jsonb;
ALTER TABLE pipeline_lifecycle ADD COLUMN removable_count bigint;
ALTER TABLE pipeline_lifecycle ADD COLUMN is_removal_approved_flag boolean NOT NULL DEFAULT FALSE;
ALTER TABLE pipeline_lifecycle ADD COLUMN kept_source_count bigint;

ALTER TABLE pipeline_lifecycle ADD CONSTRAINT removable_rows_are_counted CHECK (removable_count >= 0);

COMMENT ON COLUMN pipeline_lifecycle.source_parts IS 'What held the rows when they were read: index name and uuid, or table and server. A revisit compares it. NULL: not read yet, or more than 100 parts (the manifest has them all).';
COMMENT ON COLUMN pipeline_lifecycle.removable_count IS 'Rows of the window that its load may take away from the target. NULL: the pipeline''s vanished_data_limit decides.';
COMMENT ON COLUMN pipeline_lifecycle.is_removal_approved_flag IS 'A person asked for this load: it may take any number of rows away.';
COMMENT ON COLUMN pipeline_lifecycle.kept_source_count IS 'Rows that the source showed when a person decided to keep what is loaded: a revisit that finds as many finds nothing.';

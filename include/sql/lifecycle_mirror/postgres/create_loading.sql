-- Create a landing table that only this session sees; it is dropped when the session ends.
CREATE TEMPORARY TABLE {loading} (line JSONB NOT NULL)

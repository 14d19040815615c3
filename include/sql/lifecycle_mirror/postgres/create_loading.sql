-- A landing table that only this session sees; it goes with the session.
CREATE TEMPORARY TABLE {loading} (line JSONB NOT NULL)

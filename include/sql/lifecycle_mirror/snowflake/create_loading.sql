-- A landing table that only this session sees; it goes with the session.
CREATE OR REPLACE TEMPORARY TABLE {loading} (line VARIANT)

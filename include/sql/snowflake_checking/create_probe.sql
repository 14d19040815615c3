-- Create a table that only this session sees; it is dropped when the session ends.
CREATE OR REPLACE TEMPORARY TABLE {probe} (line VARIANT)

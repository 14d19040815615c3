-- Create the index for deletes and counts: all of them select by source object and event time.
CREATE INDEX IF NOT EXISTS {target_index} ON {target} (_source_object, _event_at)

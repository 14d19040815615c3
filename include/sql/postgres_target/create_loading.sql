-- Create a landing table that only this session sees; it is dropped when the session ends.
CREATE TEMPORARY TABLE {landed} (
    _lifecycle_id BIGINT NOT NULL,
    _id TEXT NOT NULL,
    _id_hash BIGINT NOT NULL,
    _event_at TIMESTAMPTZ NOT NULL,
    doc JSONB NOT NULL{definitions}
)

-- Create the target table if it is missing.
CREATE TABLE IF NOT EXISTS {target} (
    _source_object TEXT NOT NULL,
    _id TEXT NOT NULL,
    _id_hash BIGINT NOT NULL,
    _event_at TIMESTAMPTZ NOT NULL,
    _lifecycle_id BIGINT NOT NULL,
    _fence BIGINT NOT NULL,
    _file TEXT NOT NULL,
    doc JSONB NOT NULL{definitions}
)

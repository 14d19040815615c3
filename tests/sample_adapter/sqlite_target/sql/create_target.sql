-- Create the target table if it is missing; instants are ISO 8601 text in UTC with microseconds, which sorts as it counts.
CREATE TABLE IF NOT EXISTS {target} (
    _source_object TEXT NOT NULL,
    _id TEXT NOT NULL,
    _id_hash INTEGER NOT NULL,
    _event_at TIMESTAMP NOT NULL,
    _lifecycle_id INTEGER NOT NULL,
    _fence INTEGER NOT NULL,
    _file TEXT NOT NULL,
    doc TEXT NOT NULL{definitions}
)

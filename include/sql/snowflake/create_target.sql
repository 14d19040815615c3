-- Create the target table if it is missing; `_event_at` is UTC.
CREATE TABLE IF NOT EXISTS {target} (
    _source_object TEXT NOT NULL,
    _id TEXT NOT NULL,
    _id_hash NUMBER(19, 0) NOT NULL,
    _event_at TIMESTAMP_NTZ(6) NOT NULL,
    _lifecycle_id NUMBER(38, 0) NOT NULL,
    _fence NUMBER(38, 0) NOT NULL,
    _file TEXT NOT NULL,
    doc VARIANT{definitions}
)

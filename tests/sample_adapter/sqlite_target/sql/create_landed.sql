-- Create a landing table that only this connection sees; it is dropped when the connection closes.
CREATE TEMPORARY TABLE {landed} (
    _lifecycle_id INTEGER NOT NULL,
    _id TEXT NOT NULL,
    _id_hash INTEGER NOT NULL,
    _event_at TIMESTAMP NOT NULL,
    doc TEXT NOT NULL{definitions}
)

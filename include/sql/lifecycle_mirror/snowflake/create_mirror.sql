-- The mirror, when it is missing: the ledger's columns, and when the ledger was read (UTC, as all its instants).
CREATE TABLE IF NOT EXISTS {mirror} (
    {definitions},
    _mirrored_at TIMESTAMP_NTZ(6) NOT NULL
)

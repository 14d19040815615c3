-- The mirror, when it is missing: the ledger's columns, and when the ledger was read.
CREATE TABLE IF NOT EXISTS {mirror} (
    {definitions},
    _mirrored_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (id)
)

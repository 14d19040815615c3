-- Create the mirror if it is missing: the ledger's columns, and the time at which the ledger was read.
CREATE TABLE IF NOT EXISTS {mirror} (
    {definitions},
    _mirrored_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (id)
)

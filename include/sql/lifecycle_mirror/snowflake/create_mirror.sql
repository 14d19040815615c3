-- Create the mirror if it is missing: the ledger's columns, and the time at which the ledger was read. All instants are
-- UTC.
CREATE TABLE IF NOT EXISTS {mirror} (
    {definitions},
    _mirrored_at TIMESTAMP_NTZ(6) NOT NULL
)

-- Insert the landed rows in the ledger's columns.
INSERT INTO {mirror} ({names}, _mirrored_at)
SELECT
    {values},
    TO_TIMESTAMP_NTZ(%(mirrored_at)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
FROM {loading}

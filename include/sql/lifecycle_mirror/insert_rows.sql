-- Insert the landed rows in the ledger's columns.
INSERT INTO {mirror} ({names}, _mirrored_at)
SELECT
    {values},
    {mirrored_at}
FROM {loading}

-- Count the rows of the source object by the ledger row that loaded them: all of them with their first and last event,
-- and those inside the window of each load receipt. One statement reads both from one snapshot.
SELECT
    'total' AS part,
    _lifecycle_id,
    MIN(_event_at) AS start_at,
    MAX(_event_at) AS end_at,
    COUNT(*) AS row_count,
    {hash_sum} AS hash_sum
FROM {target}
WHERE _source_object = %(source_object)s
GROUP BY _lifecycle_id
UNION ALL
SELECT
    'received' AS part,
    held._lifecycle_id,
    received.window_start_at AS start_at,
    received.window_end_at AS end_at,
    COUNT(*) AS row_count,
    {hash_sum} AS hash_sum
FROM {receipts} AS received
INNER JOIN {target} AS held
    ON
        received.window_start_at <= held._event_at
        AND received.window_end_at > held._event_at
WHERE
    received.source_object = %(source_object)s
    AND received.kind = 'load'
    AND held._source_object = %(source_object)s
GROUP BY held._lifecycle_id, received.window_start_at, received.window_end_at

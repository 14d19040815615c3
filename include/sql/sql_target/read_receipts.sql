-- Read the guard row, every receipt that overlaps the window, and the time; the columns are in the adapter's order.
SELECT
    kind,
    source_object,
    window_start_at,
    window_end_at,
    fence,
    lifecycle_id,
    row_count,
    hash_sum,
    manifest,
    fence_floor,
    written_at,
    {clock} AS now_at
FROM {receipts}
WHERE
    source_object = %(source_object)s
    AND (kind = 'guard' OR (kind IN ('load', 'delete') AND window_start_at < {end} AND window_end_at > {start}))

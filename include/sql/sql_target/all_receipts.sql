-- Read every receipt of the source object in order; the columns are those of read_receipts.
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
    written_at
FROM {receipts}
WHERE source_object = %(source_object)s AND kind IN ('load', 'delete')
ORDER BY window_start_at, window_end_at

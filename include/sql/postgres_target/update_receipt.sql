-- Replace the receipt of exactly this window; the caller holds the guard row.
UPDATE {receipts}
SET
    kind = %(kind)s,
    fence = %(fence)s,
    lifecycle_id = %(lifecycle_id)s,
    row_count = %(row_count)s,
    hash_sum = %(hash_sum)s,
    manifest = %(manifest)s,
    written_at = %(now)s
WHERE source_object = %(source_object)s AND window_start_at = %(start)s AND window_end_at = %(end)s

-- Replace the receipt of exactly this window; the caller holds the guard row.
UPDATE {receipts}
SET
    kind = %(kind)s,
    fence = %(fence)s,
    lifecycle_id = %(lifecycle_id)s,
    row_count = %(row_count)s,
    hash_sum = %(hash_sum)s,
    manifest = %(manifest)s,
    written_at = {now}
WHERE
    source_object = %(source_object)s
    AND kind IN ('load', 'delete')
    AND window_start_at = {start}
    AND window_end_at = {end}

-- Insert the first receipt of exactly this window; the caller holds the guard row.
INSERT INTO {receipts} (
    kind, source_object, window_start_at, window_end_at, fence, lifecycle_id, row_count, hash_sum, manifest, fence_floor, written_at
)
SELECT
    %(kind)s,
    %(source_object)s,
    {start},
    {end},
    %(fence)s,
    %(lifecycle_id)s,
    %(row_count)s,
    %(hash_sum)s,
    %(manifest)s,
    0,
    {now}

-- Insert the first receipts of exactly these windows; the caller holds the guard row.
INSERT INTO {receipts} (
    kind, source_object, window_start_at, window_end_at, fence, lifecycle_id, row_count, hash_sum, manifest, fence_floor, written_at
)
{each}

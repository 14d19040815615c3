-- Insert the guard row of the source object once; the caller keeps other sessions from doing the same.
INSERT INTO {receipts} (kind, source_object, fence, lifecycle_id, row_count, hash_sum, manifest, fence_floor, written_at)
SELECT
    'guard',
    %(source_object)s,
    0,
    0,
    0,
    0,
    '',
    0,
    {clock}
WHERE NOT EXISTS (SELECT 1 FROM {receipts} WHERE kind = 'guard' AND source_object = %(source_object)s)

-- Count the rows of the window and sum their id hashes.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(_id_hash), 0) AS hash_sum
FROM {target}
WHERE _source_object = %(source_object)s AND _event_at >= %(start)s AND _event_at < %(end)s

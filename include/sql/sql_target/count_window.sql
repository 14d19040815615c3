-- Count the rows of the window and sum their id hashes.
SELECT
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum
FROM {target}
WHERE _source_object = %(source_object)s AND _event_at >= {start} AND _event_at < {end}

-- Count the rows of the window and their different id hashes, and sum the id hashes.
SELECT
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum,
    COUNT(DISTINCT _id_hash) AS hash_count
FROM {target}
WHERE _source_object = %(source_object)s AND _event_at >= {start} AND _event_at < {end}

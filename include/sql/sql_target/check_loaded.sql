-- Count the landed rows of each ledger row and their different ids, and sum their id hashes.
SELECT
    _lifecycle_id,
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum,
    COUNT(DISTINCT _id) AS id_count
FROM {landed}
GROUP BY _lifecycle_id

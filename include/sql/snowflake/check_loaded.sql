-- Count the landed rows of each ledger row, their different ids and the documents that a typed column can't hold, and
-- sum the id hashes.
SELECT
    _lifecycle_id,
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum,
    COUNT(DISTINCT _id) AS id_count,
    COUNT(refused_column) AS refused_count
FROM {landed}
GROUP BY _lifecycle_id

-- Count the landed rows and their different ids, and sum their id hashes.
SELECT
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum,
    COUNT(DISTINCT _id) AS id_count
FROM {landed}

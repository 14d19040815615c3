-- Count the landed rows, their different ids and the documents that a typed column can't hold, and sum the id hashes.
SELECT
    COUNT(*) AS row_count,
    COALESCE({hash_sum}, 0) AS hash_sum,
    COUNT(refused_column) AS refused_count,
    COUNT(DISTINCT _id) AS id_count
FROM {landed}

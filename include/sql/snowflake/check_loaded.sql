-- Count the landed rows, their different ids and the documents that a typed column can't hold, and sum the id hashes.
-- The cast inside the sum is for fakesnow 0.12.1, which sums bare columns as 64-bit floats.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(_id_hash::NUMBER(19, 0)), 0) AS hash_sum,
    COUNT(refused_column) AS refused_count,
    COUNT(DISTINCT _id) AS id_count
FROM {typed}

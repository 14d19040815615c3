-- Rows, id-hash sum and different ids of what was landed.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(_id_hash), 0) AS hash_sum,
    COUNT(DISTINCT _id) AS id_count
FROM {loading}

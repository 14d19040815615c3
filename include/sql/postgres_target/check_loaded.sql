-- Rows and id-hash sum of what was landed.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(_id_hash), 0) AS hash_sum
FROM {loading}

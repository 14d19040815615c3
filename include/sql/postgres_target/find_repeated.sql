-- The first id, in order, that several landed rows share, and how many of them.
SELECT
    _id,
    COUNT(*) AS row_count
FROM {loading}
GROUP BY _id
HAVING COUNT(*) > 1
ORDER BY _id
LIMIT 1

-- Count the rows of the window and sum the hashes of their ids: the first 15 hex digits of md5 over the id's UTF-8 bytes,
-- as `core/proof/fingerprints.py` has it.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(('x' || LEFT(MD5(CONVERT_TO(t.{id_column}::text, 'UTF8')), 15))::bit(60)::bigint), 0) AS hash_sum
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s

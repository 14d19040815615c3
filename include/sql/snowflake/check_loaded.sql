-- Rows and id-hash sum of what was landed, and how many documents a typed column can't hold.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(line['_id_hash']::NUMBER(19, 0)), 0) AS hash_sum,
    COUNT_IF({refused}) AS refused_count
FROM ({typed_rows}) AS typed_rows

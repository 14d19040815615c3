-- Count the rows of the window and sum their id hashes; the sum has up to 38 digits.
-- The cast is for fakesnow 0.12.1, which sums bare columns as 64-bit floats.
SELECT
    COUNT(*) AS row_count,
    COALESCE(SUM(_id_hash::NUMBER(19, 0)), 0) AS hash_sum
FROM {target}
WHERE
    _source_object = %(source_object)s
    AND _event_at >= TO_TIMESTAMP_NTZ(%(start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
    AND _event_at < TO_TIMESTAMP_NTZ(%(end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')

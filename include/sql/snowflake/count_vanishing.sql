-- Count the rows that the window holds, and those whose id is not among the landed ones: the load would remove them.
SELECT
    COUNT(*) AS row_count,
    COUNT_IF(landed._id IS NULL) AS vanishing
FROM {target} AS held
LEFT JOIN (SELECT DISTINCT _id FROM {typed}) AS landed ON held._id = landed._id
WHERE
    held._source_object = %(source_object)s
    AND held._event_at >= TO_TIMESTAMP_NTZ(%(start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
    AND held._event_at < TO_TIMESTAMP_NTZ(%(end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')

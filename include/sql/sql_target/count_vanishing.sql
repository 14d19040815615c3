-- Count the rows that the window holds, and those whose id is not among the landed ones: the load would remove them.
SELECT
    COUNT(*) AS row_count,
    COUNT(CASE WHEN landed._id IS NULL THEN 1 END) AS vanishing
FROM {target} AS held
LEFT JOIN (
    SELECT DISTINCT _id FROM {landed}
    WHERE _lifecycle_id = %(lifecycle_id)s
) AS landed ON held._id = landed._id
WHERE held._source_object = %(source_object)s AND held._event_at >= {start} AND held._event_at < {end}

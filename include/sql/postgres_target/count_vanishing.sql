-- Count the rows that the window holds, and those whose id is not among the landed ones: the load would remove them.
SELECT
    COUNT(*) AS row_count,
    COUNT(*) FILTER (WHERE landed._id IS NULL) AS vanishing
FROM {target} AS held
LEFT JOIN (SELECT DISTINCT _id FROM {loading}) AS landed ON held._id = landed._id
WHERE held._source_object = %(source_object)s AND held._event_at >= %(start)s AND held._event_at < %(end)s

-- Return those of the given days that no live row touches, of all sources at once, and whether they were reported
-- lately.
SELECT
    day.source_object,
    day.target_day,
    COALESCE(alert.alerted_at <= day.alerted_after, TRUE) AS is_untold
FROM
    UNNEST(
        %(sources)s::text[], %(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
        %(alerted_after)s::timestamptz[]
    ) AS day (source_object, target_day, start_at, end_at, alerted_after)
LEFT JOIN overdue_alerts AS alert
    ON day.source_object = alert.source_object AND alert.subject = 'day ' || TO_CHAR(day.target_day, 'YYYY-MM-DD')
WHERE NOT EXISTS (
    SELECT FROM pipeline_lifecycle AS state
    WHERE
        HASHTEXTEXTENDED(state.source_object, 0) = HASHTEXTEXTENDED(day.source_object, 0)
        AND state.source_object = day.source_object
        AND NOT state.is_invalidated_flag
        AND TSTZRANGE(state.query_window_start_at, state.query_window_end_at) && TSTZRANGE(day.start_at, day.end_at)
)
ORDER BY day.source_object, day.target_day

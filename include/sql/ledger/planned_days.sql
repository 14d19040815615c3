-- Read the days of sources that have live rows, each source from a day on; one look-up in the index of days for each day.
WITH RECURSIVE days AS (
    SELECT
        wanted.source_object,
        (
            SELECT MIN(target_day)
            FROM pipeline_lifecycle
            WHERE
                source_object = wanted.source_object
                AND target_day >= COALESCE(wanted.since, '-infinity'::date)
                AND NOT is_invalidated_flag
        ) AS target_day
    FROM UNNEST(%(sources)s::text[], %(days)s::date[]) AS wanted (source_object, since)
    UNION ALL
    SELECT
        days.source_object,
        (
            SELECT MIN(target_day)
            FROM pipeline_lifecycle
            WHERE
                source_object = days.source_object
                AND target_day > days.target_day
                AND NOT is_invalidated_flag
        )
    FROM days
    WHERE days.target_day IS NOT NULL
)

SELECT
    source_object,
    target_day
FROM days
WHERE target_day IS NOT NULL
ORDER BY source_object, target_day

-- Count the live rows of each source's days by status, those that are due among them, and the time that they cover. Each
-- source's days are searched by themselves, so that the index of days finds them, however many sources are asked for.
SELECT
    wanted.source_object,
    counted.*
FROM
    UNNEST(%(sources)s::text[], %(first_days)s::date[], %(last_days)s::date[], %(settled)s::timestamptz[])
        AS wanted (source_object, first_day, last_day, settled_at)
CROSS JOIN LATERAL (
    SELECT
        target_day,
        pipeline_final_status AS status,
        COUNT(*) AS windows,
        COUNT(*) FILTER (WHERE query_window_end_at <= wanted.settled_at) AS due,
        SUM(query_window_end_at - query_window_start_at) AS covered
    FROM pipeline_lifecycle
    WHERE
        source_object = wanted.source_object
        AND target_day BETWEEN wanted.first_day AND wanted.last_day
        AND NOT is_invalidated_flag
    GROUP BY target_day, pipeline_final_status
) AS counted

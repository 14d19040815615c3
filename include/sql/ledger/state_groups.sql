-- All of phase 1: count the live rows of each length on each local day and those that are done, and read their extent;
-- of each source from a day on. Each source is searched by itself, and with an end that no day reaches: Postgres takes
-- such a range for a short one, and keeps to the index of days.
SELECT
    wanted.source_object,
    counted.*
FROM UNNEST(%(sources)s::text[], %(days)s::date[]) AS wanted (source_object, since)
CROSS JOIN LATERAL (
    SELECT
        target_day,
        query_window_end_at - query_window_start_at AS duration,
        COUNT(*) AS windows,
        COUNT(*) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS completed,
        MIN(query_window_start_at) AS first_start_at,
        MAX(query_window_end_at) AS last_end_at
    FROM {state_table}
    WHERE
        source_object = wanted.source_object
        AND target_day >= COALESCE(wanted.since, '-infinity'::date)
        AND target_day <= 'infinity'::date
        AND NOT is_invalidated_flag
    GROUP BY target_day, duration
) AS counted

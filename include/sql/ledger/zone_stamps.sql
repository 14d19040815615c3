-- Read the version of the time zone rules with which the live rows of each day were planned, and the first start and
-- last end of those rows; for several sources, each in its own zone. The index of days holds all of it.
SELECT
    wanted.source_object,
    stamp.*
FROM UNNEST(%(source_objects)s::text[], %(timezones)s::text[]) AS wanted (source_object, timezone)
CROSS JOIN LATERAL (
    SELECT
        target_day,
        zone_rules,
        MIN(query_window_start_at) AS start_at,
        MAX(query_window_end_at) AS end_at,
        COUNT(*) AS windows
    FROM pipeline_lifecycle
    WHERE
        source_object = wanted.source_object
        AND timezone = wanted.timezone
        AND NOT is_invalidated_flag
        AND target_day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date - 2
        AND query_window_start_at >= %(since)s
    GROUP BY target_day, zone_rules
) AS stamp
ORDER BY wanted.source_object, stamp.target_day, stamp.zone_rules NULLS FIRST

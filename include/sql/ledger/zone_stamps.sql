-- Read the version of the time zone rules with which the live rows of each day were planned, and the first start and
-- last end of those rows; for several sources, each in its own zone. Rows of one version are left out. Where no other one
-- was used lately, which a look-up for each version tells, nothing else is read.
WITH RECURSIVE versions AS (
    SELECT MIN(zone_rules) AS version
    FROM pipeline_lifecycle
    WHERE NOT is_invalidated_flag
    UNION ALL
    SELECT (
        SELECT MIN(zone_rules) FROM pipeline_lifecycle
        WHERE NOT is_invalidated_flag AND zone_rules > versions.version
    )
    FROM versions
    WHERE versions.version IS NOT NULL
),

others AS (
    SELECT versions.version
    FROM versions
    WHERE
        versions.version != %(own_version)s
        AND EXISTS (
            SELECT FROM pipeline_lifecycle
            WHERE
                NOT is_invalidated_flag
                AND zone_rules = versions.version
                AND target_day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date - 2
        )
    UNION ALL
    SELECT NULL AS version
    WHERE EXISTS (
        SELECT FROM pipeline_lifecycle
        WHERE
            NOT is_invalidated_flag
            AND zone_rules IS NULL
            AND target_day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date - 2
    )
)

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
        AND zone_rules IS DISTINCT FROM %(own_version)s
        AND target_day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date - 2
        AND query_window_start_at >= %(since)s
    GROUP BY target_day, zone_rules
) AS stamp
WHERE EXISTS (SELECT FROM others)
ORDER BY wanted.source_object, stamp.target_day, stamp.zone_rules NULLS FIRST

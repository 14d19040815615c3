-- Read every source that has live rows, with zone and granularity of its latest row; one index look-up per source.
WITH RECURSIVE sources AS (
    SELECT MIN(source_object) AS source_object FROM pipeline_lifecycle
    UNION ALL
    SELECT (SELECT MIN(source_object) FROM pipeline_lifecycle WHERE source_object > sources.source_object)
    FROM sources
    WHERE sources.source_object IS NOT NULL
)

SELECT
    latest.source_object,
    latest.timezone,
    latest.granularity
FROM sources
CROSS JOIN LATERAL (
    SELECT *
    FROM pipeline_lifecycle
    WHERE source_object = sources.source_object AND NOT is_invalidated_flag
    ORDER BY target_day DESC
    LIMIT 1
) AS latest
ORDER BY latest.source_object

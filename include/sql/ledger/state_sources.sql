-- Every source that has live rows, with what its latest one says of zone and granularity; a jump in the index per source.
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

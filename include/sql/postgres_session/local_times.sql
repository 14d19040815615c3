-- Compute local times with the server's own time zone rules: its zone files may be older or newer than ours. NULL: the
-- server doesn't know the zone.
WITH known AS (
    SELECT name FROM pg_timezone_names
    WHERE name = ANY(%(timezones)s::text[])
)

SELECT
    asked.timezone,
    asked.at,
    CASE WHEN known.name IS NOT NULL THEN asked.at AT TIME ZONE asked.timezone END AS local_time
FROM UNNEST(%(timezones)s::text[], %(instants)s::timestamptz[]) AS asked (timezone, at)
LEFT JOIN known ON asked.timezone = known.name

-- Read the version of the time zone rules with which the live rows of each day were planned, and the first start and
-- last end of those rows; for several sources, each in its own zone.
SELECT
    ledger.source_object,
    ledger.target_day,
    ledger.zone_rules,
    MIN(ledger.query_window_start_at) AS start_at,
    MAX(ledger.query_window_end_at) AS end_at,
    COUNT(*) AS windows
FROM UNNEST(%(source_objects)s::text[], %(timezones)s::text[]) AS wanted (source_object, timezone)
INNER JOIN pipeline_lifecycle AS ledger
    ON wanted.source_object = ledger.source_object AND wanted.timezone = ledger.timezone
WHERE
    NOT ledger.is_invalidated_flag
    AND ledger.target_day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date - 2
    AND ledger.query_window_start_at >= %(since)s
GROUP BY ledger.source_object, ledger.target_day, ledger.zone_rules
ORDER BY ledger.source_object, ledger.target_day, ledger.zone_rules NULLS FIRST

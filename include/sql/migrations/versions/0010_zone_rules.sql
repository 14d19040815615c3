-- Which version of the time zone rules a row was planned with: days planned with another one are found and planned anew.
ALTER TABLE pipeline_lifecycle ADD COLUMN zone_rules text;

COMMENT ON COLUMN pipeline_lifecycle.zone_rules IS 'IANA version of the time zone rules that gave the day its bounds when the row was planned, such as 2026f. NULL: planned before this was kept, or adopted.';

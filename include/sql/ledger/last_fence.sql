-- Read the greatest fence that the ledger knows; every new fence is greater. It is the last one that the sequence gave on
-- this timeline, or a greater one of a row, where only tables were restored. After a failover both may be behind the
-- fences that were issued, but those belong to an earlier timeline.
SELECT GREATEST(issued.fence, (SELECT MAX(fence) FROM pipeline_lifecycle WHERE fence > issued.fence)) AS last_fence
FROM (
    SELECT (GREATEST(seen.timeline, drawn.number >> 40) << 40) | (drawn.number & 1099511627775) AS fence
    FROM (
        SELECT last_value - (CASE WHEN is_called THEN 0 ELSE 1 END) AS number
        FROM pipeline_lifecycle_fence
    ) AS drawn
    CROSS JOIN ledger_identity_seen AS seen
) AS issued

-- Read the greatest fence that the ledger knows; every new fence is greater. The sequence may be behind the rows where
-- only tables were restored. After a failover both may be behind the fences that were issued, but those belong to an
-- earlier timeline.
SELECT
    GREATEST(
        issued.last_value - (CASE WHEN issued.is_called THEN 0 ELSE 1 END), newest.fence, seen.timeline << 40
    ) AS last_fence
FROM pipeline_lifecycle_fence AS issued
CROSS JOIN (SELECT COALESCE(MAX(fence), 0) AS fence FROM pipeline_lifecycle WHERE fence > 0) AS newest
CROSS JOIN ledger_identity_seen AS seen

-- The greatest fence that the ledger knows of: its sequence may be behind its rows where only tables were restored.
SELECT GREATEST(issued.last_value - (CASE WHEN issued.is_called THEN 0 ELSE 1 END), newest.fence) AS last_fence
FROM pipeline_lifecycle_fence AS issued
CROSS JOIN (SELECT COALESCE(MAX(fence), 0) AS fence FROM pipeline_lifecycle) AS newest

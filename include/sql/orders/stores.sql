-- Read the stores that may be synced (requirement 5, D: store selection), one or all.
SELECT s.store_code, s.start_date, s.sync_group, s.cost_center, s.store_timezone
FROM store_master AS s
WHERE s.is_active AND s.start_date IS NOT NULL AND s.store_code IS NOT NULL
    AND (%(store_code)s::TEXT IS NULL OR s.store_code = %(store_code)s)
ORDER BY s.store_code

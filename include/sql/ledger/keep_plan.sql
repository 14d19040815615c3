-- Store a plan under a new short id, or find the open plan with the same hash; the caller runs lock_plans first.
WITH open_plan AS (
    SELECT * FROM state_manager_plans
    WHERE hash = %(hash)s AND applied_at IS NULL
),

proposed AS (
    SELECT TO_CHAR(NOW() AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || LEFT(%(hash)s, 8) AS plan_id
),

taken AS (
    SELECT COUNT(*) AS plans
    FROM state_manager_plans AS stored, proposed
    WHERE STARTS_WITH(stored.plan_id, proposed.plan_id)
),

kept AS (
    INSERT INTO state_manager_plans (plan_id, created_by, sources, items, findings, hash, needs_approval)
    SELECT
        proposed.plan_id || CASE WHEN taken.plans = 0 THEN '' ELSE '-' || (taken.plans + 1) END,
        %(created_by)s,
        %(sources)s,
        %(items)s,
        %(findings)s,
        %(hash)s,
        %(needs_approval)s
    FROM proposed, taken
    WHERE NOT EXISTS (SELECT FROM open_plan)
    RETURNING *
)

SELECT * FROM kept
UNION ALL
SELECT * FROM open_plan

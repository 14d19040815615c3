-- Store the outcomes of some sources of an open plan; the plan is applied when its last source has an outcome. No row
-- comes back if the plan was applied before.
UPDATE state_manager_plans SET
    outcome = COALESCE(outcome, '{}') || %(outcome)s,
    applied_by = %(applied_by)s,
    approved_by = COALESCE(%(approved_by)s, approved_by),
    applied_at = CASE WHEN %(is_complete)s THEN NOW() END
WHERE plan_id = %(plan_id)s AND applied_at IS NULL
RETURNING *

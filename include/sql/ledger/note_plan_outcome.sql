-- What came of some sources of an open plan; the plan is applied when its last source is through. No row: it is applied.
UPDATE state_manager_plans SET
    outcome = COALESCE(outcome, '{}') || %(outcome)s,
    applied_by = %(applied_by)s,
    approved_by = COALESCE(%(approved_by)s, approved_by),
    applied_at = CASE WHEN %(is_complete)s THEN NOW() END
WHERE plan_id = %(plan_id)s AND applied_at IS NULL
RETURNING *

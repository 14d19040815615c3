-- Read one plan of the state manager.
SELECT * FROM state_manager_plans
WHERE plan_id = %(plan_id)s

-- Until the transaction ends nobody else stores a plan, so that each finds the open one of the other.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('state_manager_plans', 0))

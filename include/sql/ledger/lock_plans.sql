-- Keep other sessions from storing a plan until the transaction ends, so that each finds the open plan of the other.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('state_manager_plans', 0))

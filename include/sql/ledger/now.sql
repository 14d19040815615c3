-- Read the ledger's clock: it alone decides on leases, heartbeats and not_before_at.
SELECT CLOCK_TIMESTAMP() AS database_now

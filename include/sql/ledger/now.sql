-- The ledger's clock: leases, heartbeats and not_before_at are judged by it alone.
SELECT CLOCK_TIMESTAMP() AS database_now

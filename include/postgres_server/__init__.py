"""What every session with a Postgres server needs, whoever opens it: ledger, orders, source, target, mirror."""

"""Everything that a session with a Postgres server needs, for ledger, orders, source, target and mirror."""

-- Record this server, timeline and database as the ledger from now on.
INSERT INTO ledger_identity (system_identifier, timeline, database_oid, recorded_by)
SELECT
    system_identifier,
    timeline,
    database_oid,
    %(recorded_by)s
FROM ledger_identity_seen
ON CONFLICT (is_only) DO UPDATE SET
    system_identifier = excluded.system_identifier,
    timeline = excluded.timeline,
    database_oid = excluded.database_oid,
    recorded_at = excluded.recorded_at,
    recorded_by = excluded.recorded_by
RETURNING recorded_at

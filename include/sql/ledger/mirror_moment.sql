-- Describe the ledger at the moment of this transaction's snapshot. Each server numbers its own transactions: after a
-- restore, after a failover or in another database the same numbers mean other transactions, and one of these four
-- parts differs.
SELECT
    CONCAT_WS(
        '/',
        system.system_identifier,
        LEFT(PG_WALFILE_NAME(PG_CURRENT_WAL_LSN()), 8),
        (SELECT oid FROM pg_database WHERE datname = CURRENT_DATABASE()),
        PG_RELATION_FILENODE('pipeline_lifecycle')
    ) AS ledger,
    PG_SNAPSHOT_XMIN(PG_CURRENT_SNAPSHOT())::text::numeric AS oldest_open,
    PG_SNAPSHOT_XMAX(PG_CURRENT_SNAPSHOT())::text::numeric AS next_transaction,
    CLOCK_TIMESTAMP() AS read_at
FROM PG_CONTROL_SYSTEM() AS system

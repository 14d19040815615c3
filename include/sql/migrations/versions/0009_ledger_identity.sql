-- Which server, timeline and database the ledger's fences were issued in. A standby that was promoted has another timeline
-- and may lag behind what the lost primary gave away; a restored or copied ledger differs in another part. Claims and takes
-- are refused until somebody has said which it is.
CREATE TABLE ledger_identity (
    is_only boolean PRIMARY KEY DEFAULT TRUE,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    database_oid bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    recorded_by text NOT NULL,

    CONSTRAINT ledger_has_one_identity CHECK (is_only)
);

COMMENT ON TABLE ledger_identity IS 'The ledger that fences are issued for: one row, written by ledger migrate, ledger rebuild and ledger adopt-failover. Claims and takes are refused while it is not the present one.';
COMMENT ON COLUMN ledger_identity.is_only IS 'TRUE: there is one row.';
COMMENT ON COLUMN ledger_identity.system_identifier IS 'Of the cluster, from its initdb; a standby has its primary''s.';
COMMENT ON COLUMN ledger_identity.timeline IS 'Of the write-ahead log: a promoted standby and a restored cluster begin a new one. High bits of every fence.';
COMMENT ON COLUMN ledger_identity.database_oid IS 'Of the database: a copy in the same cluster has another one.';
COMMENT ON COLUMN ledger_identity.recorded_at IS 'When it was recorded; database clock.';
COMMENT ON COLUMN ledger_identity.recorded_by IS 'Run or person that recorded it.';

-- Always one row: the present identity beside the recorded one. The timeline is that of the next write; the control file's
-- is the last checkpoint's, which is stale right after a promotion.
CREATE VIEW ledger_identity_seen AS
SELECT
    system.system_identifier,
    present.timeline,
    present.database_oid,
    recorded.system_identifier AS recorded_system_identifier,
    recorded.timeline AS recorded_timeline,
    recorded.database_oid AS recorded_database_oid,
    recorded.recorded_at,
    recorded.recorded_by,
    COALESCE(
        (recorded.system_identifier, recorded.timeline, recorded.database_oid)
        = (system.system_identifier, present.timeline, present.database_oid),
        FALSE
    ) AS is_recorded
FROM PG_CONTROL_SYSTEM() AS system
CROSS JOIN (
    SELECT
        CAST(CAST('x' || LEFT(PG_WALFILE_NAME(PG_CURRENT_WAL_LSN()), 8) AS bit(32)) AS bigint) AS timeline,
        (SELECT CAST(oid AS bigint) FROM pg_database WHERE datname = CURRENT_DATABASE()) AS database_oid
) AS present
LEFT JOIN ledger_identity AS recorded ON TRUE;

COMMENT ON VIEW ledger_identity_seen IS 'The ledger''s present identity beside the recorded one.';

INSERT INTO ledger_identity (system_identifier, timeline, database_oid, recorded_by)
SELECT
    system_identifier,
    timeline,
    database_oid,
    'ledger migrate'
FROM ledger_identity_seen;

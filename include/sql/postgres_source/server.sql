-- Say whether the server is a standby, until when it is complete, and which table of which database it reads. A standby
-- that has replayed all that its primary had written at their last contact is complete until that moment; otherwise it
-- is complete until the last commit that it has replayed.
SELECT
    PG_IS_IN_RECOVERY() AS is_standby,
    GREATEST(
        PG_LAST_XACT_REPLAY_TIMESTAMP(),
        (SELECT last_msg_send_time FROM pg_stat_wal_receiver WHERE latest_end_lsn <= PG_LAST_WAL_REPLAY_LSN())
    ) AS complete_until,
    CONCAT_WS(
        '/',
        (SELECT system_identifier FROM PG_CONTROL_SYSTEM()),
        (SELECT oid FROM pg_database WHERE datname = CURRENT_DATABASE()),
        TO_REGCLASS(%(table)s)::oid
    ) AS identity

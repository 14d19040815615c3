-- Say who is connected to what, whether the server takes writes, and what its clock shows.
SELECT
    CURRENT_USER::TEXT AS login,
    CURRENT_DATABASE()::TEXT AS database_name,
    PG_IS_IN_RECOVERY() AS is_standby,
    CURRENT_SETTING('transaction_read_only') = 'on' AS is_read_only,
    PG_BACKEND_PID() AS backend_pid,
    CLOCK_TIMESTAMP() AS database_now

-- A client that vanished or froze in a transaction, which takes milliseconds here, keeps its rows for at most a minute;
-- whoever waits for them does so a little longer. Where somebody has set another time, that counts. Behind a pooler, whose
-- servers have other processes than the client was told, only for the transaction: the session may be another's after it.
SELECT
    SET_CONFIG(
        'idle_in_transaction_session_timeout',
        COALESCE(NULLIF(CURRENT_SETTING('idle_in_transaction_session_timeout'), '0'), '60s'),
        PG_BACKEND_PID() <> %(backend_pid)s
    ),
    SET_CONFIG(
        'lock_timeout',
        COALESCE(NULLIF(CURRENT_SETTING('lock_timeout'), '0'), '90s'),
        PG_BACKEND_PID() <> %(backend_pid)s
    ),
    PG_BACKEND_PID() AS backend_pid

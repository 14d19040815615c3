-- Bound idle transactions: a client that vanished or froze in a transaction (one takes milliseconds here) keeps its
-- rows for at most a minute, and other sessions wait for them a little longer. A time that was set elsewhere stays in
-- force. Behind a pooler, whose server processes differ from the one that the client knows, the settings are for the
-- transaction only, because the session may belong to another client afterwards.
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

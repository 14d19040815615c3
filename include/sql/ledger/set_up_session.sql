-- A client that vanished or froze in a transaction, which takes milliseconds here, keeps its rows for at most a minute;
-- whoever waits for them does so a little longer. Where somebody has set another time, that counts.
SELECT
    SET_CONFIG(
        'idle_in_transaction_session_timeout',
        COALESCE(NULLIF(CURRENT_SETTING('idle_in_transaction_session_timeout'), '0'), '60s'),
        FALSE
    ),
    SET_CONFIG('lock_timeout', COALESCE(NULLIF(CURRENT_SETTING('lock_timeout'), '0'), '90s'), FALSE)

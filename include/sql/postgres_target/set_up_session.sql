-- Set the session up: a wait for another publish of the same source object ends after this time; instants come back in
-- the one style that the driver reads, whatever the default of the role is; rows that a policy hides cause an error of
-- Postgres itself; and a client that vanished or froze in a transaction keeps the guard row for at most a minute,
-- unless another time was set elsewhere.
SELECT
    SET_CONFIG('lock_timeout', %(milliseconds)s, FALSE),
    SET_CONFIG('datestyle', 'ISO', FALSE),
    SET_CONFIG('row_security', 'off', FALSE),
    SET_CONFIG(
        'idle_in_transaction_session_timeout',
        COALESCE(NULLIF(CURRENT_SETTING('idle_in_transaction_session_timeout'), '0'), '60s'),
        FALSE
    ),
    PG_BACKEND_PID()

-- Hold a name until the transaction ends; false: somebody else holds it. The transaction is idle for as long as its client
-- works, so no clock of the server's may end it: its connection's end does.
SELECT
    PG_TRY_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0)) AS is_locked,
    (
        SELECT COUNT(SET_CONFIG(name, '0', TRUE))
        FROM pg_settings
        WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
    ) AS unlimited

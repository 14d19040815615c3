-- Hold a name until the transaction ends; false: another session holds it. The transaction is idle while its client
-- works, so no time-out of the server may end it; the end of the connection does.
SELECT
    PG_TRY_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0)) AS is_locked,
    (
        SELECT COUNT(SET_CONFIG(name, '0', TRUE))
        FROM pg_settings
        WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
    ) AS unlimited

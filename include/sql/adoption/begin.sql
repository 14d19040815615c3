-- Start an import; the rest of the transaction works on it, and reads it through pipeline_lifecycle_importing. The
-- longer time-out keeps the server from ending the transaction while the client judges the findings.
SELECT
    SET_CONFIG('pipeline_lifecycle.import_id', NEXTVAL('pipeline_lifecycle_import_id_seq')::text, TRUE)::bigint AS import_id,
    SET_CONFIG('idle_in_transaction_session_timeout', '30min', TRUE)

-- What the rest of the transaction works on. Its import is seen through pipeline_lifecycle_importing; a pause of the
-- client, which judges what was found, doesn't end it.
SELECT
    SET_CONFIG('pipeline_lifecycle.import_id', NEXTVAL('pipeline_lifecycle_import_id_seq')::text, TRUE)::bigint AS import_id,
    SET_CONFIG('idle_in_transaction_session_timeout', '30min', TRUE)

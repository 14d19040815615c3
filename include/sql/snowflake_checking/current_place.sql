-- Read the session's database and schema; NULL where it has none.
SELECT
    CURRENT_DATABASE() AS database_name,
    CURRENT_SCHEMA() AS schema_name

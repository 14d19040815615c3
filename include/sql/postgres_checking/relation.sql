-- Say what of a table or view is there, and what this login may do with it, its schema and the database.
SELECT
    there.nspname IS NOT NULL AS has_schema,
    COALESCE(HAS_SCHEMA_PRIVILEGE(there.oid, 'USAGE'), FALSE) AS may_use_schema,
    COALESCE(HAS_SCHEMA_PRIVILEGE(there.oid, 'CREATE'), FALSE) AS may_create,
    HAS_DATABASE_PRIVILEGE(CURRENT_DATABASE(), 'TEMPORARY') AS may_create_temporary,
    relation.oid AS relation_number,
    COALESCE(ROW_SECURITY_ACTIVE(relation.oid), FALSE) AS is_restricted,
    ARRAY(
        SELECT privilege FROM UNNEST(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted (privilege)
        WHERE HAS_TABLE_PRIVILEGE(relation.oid, privilege)
    ) AS privileges
FROM (SELECT %(schema)s::TEXT AS schema_name, %(table)s::TEXT AS table_name) AS asked
LEFT JOIN pg_namespace AS there ON asked.schema_name = there.nspname
LEFT JOIN pg_class AS relation
    ON there.oid = relation.relnamespace AND asked.table_name = relation.relname AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')

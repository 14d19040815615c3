-- Find a table by its name, first as written, then in lower case.
SELECT
    class.oid,
    namespace.nspname AS schema_name,
    class.relname AS table_name,
    class.relkind::text AS kind,
    HAS_SCHEMA_PRIVILEGE(namespace.oid, 'USAGE') AND HAS_TABLE_PRIVILEGE(class.oid, 'SELECT') AS may_read,
    CURRENT_USER::text AS login,
    CURRENT_DATABASE()::text AS database_name
FROM pg_class AS class
INNER JOIN pg_namespace AS namespace ON class.relnamespace = namespace.oid
WHERE
    namespace.nspname IN (%(schema)s::text, LOWER(%(schema)s::text))
    AND class.relname IN (%(name)s::text, LOWER(%(name)s::text))
ORDER BY namespace.nspname = %(schema)s::text DESC, class.relname = %(name)s::text DESC
LIMIT 1

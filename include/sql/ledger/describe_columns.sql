-- Read the ledger's tables and columns with their types and comments from the database's own catalog.
SELECT
    class.relname AS table_name,
    OBJ_DESCRIPTION(class.oid) AS table_comment,
    attribute.attname AS column_name,
    FORMAT_TYPE(attribute.atttypid, attribute.atttypmod) AS column_type,
    attribute.attnotnull AS is_required,
    PG_GET_EXPR(initial.adbin, initial.adrelid) AS default_value,
    COL_DESCRIPTION(class.oid, attribute.attnum) AS column_comment
FROM pg_class AS class
INNER JOIN pg_attribute AS attribute ON class.oid = attribute.attrelid
LEFT JOIN pg_attrdef AS initial ON class.oid = initial.adrelid AND attribute.attnum = initial.adnum
WHERE
    class.relname = ANY(%(tables)s)
    AND class.relnamespace = 'public'::regnamespace
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
ORDER BY class.relname, attribute.attnum

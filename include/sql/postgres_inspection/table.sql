-- Return the bytes of a table with its partitions (NULL for a view, of which no part can be read), and whether an index
-- begins with a column.
SELECT
    CASE
        WHEN c.relkind IN ('r', 'm', 'p')
            THEN COALESCE((SELECT SUM(PG_TABLE_SIZE(p.relid)) FROM PG_PARTITION_TREE(c.oid) AS p), PG_TABLE_SIZE(c.oid))
    END AS table_bytes,
    EXISTS(
        SELECT 1
        FROM pg_index AS i
        INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND i.indkey[0] = a.attnum
        WHERE i.indrelid = c.oid AND i.indisvalid AND a.attname = %(column_name)s
    ) AS is_indexed
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = %(table_schema)s AND c.relname = %(table)s

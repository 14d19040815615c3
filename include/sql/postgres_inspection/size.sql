-- Return the bytes of a table with its partitions; NULL for a view, of which no part can be read.
SELECT
    CASE
        WHEN c.relkind IN ('r', 'm', 'p')
            THEN COALESCE((SELECT SUM(PG_TABLE_SIZE(p.relid)) FROM PG_PARTITION_TREE(c.oid) AS p), PG_TABLE_SIZE(c.oid))
    END AS table_bytes
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = %(table_schema)s AND c.relname = %(table)s

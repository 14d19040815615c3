-- Return the columns of a table in order: name, base type, a numeric's scale, whether it can't be NULL, whether a unique
-- index is on it alone, and whether that is the primary key.
SELECT
    a.attname AS column_name,
    FORMAT_TYPE(COALESCE(b.oid, t.oid), NULL) AS type_name,
    CASE WHEN COALESCE(b.typname, t.typname) = 'numeric' AND a.atttypmod > 0 THEN (a.atttypmod - 4) & 65535 END AS scale,
    a.attnotnull AS is_not_null,
    COALESCE(BOOL_OR(i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL), FALSE) AS is_unique,
    COALESCE(BOOL_OR(i.indisprimary AND i.indnkeyatts = 1), FALSE) AS is_primary
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
INNER JOIN pg_type AS t ON a.atttypid = t.oid
LEFT JOIN pg_type AS b ON t.typtype = 'd' AND t.typbasetype = b.oid
LEFT JOIN pg_index AS i ON c.oid = i.indrelid AND i.indkey[0] = a.attnum AND i.indisvalid
WHERE n.nspname = %(table_schema)s AND c.relname = %(table)s
GROUP BY a.attnum, a.attname, b.oid, t.oid, b.typname, t.typname, a.atttypmod, a.attnotnull
ORDER BY a.attnum

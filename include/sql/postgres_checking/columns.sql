-- List the columns of a table or view: name, type, whether a row needs a value for it, and whether it is unique by itself.
SELECT
    part.attname::TEXT AS column_name,
    FORMAT_TYPE(part.atttypid, part.atttypmod) AS type_name,
    part.attnotnull AND NOT part.atthasdef AND part.attidentity = '' AS is_needed,
    COALESCE((
        SELECT BOOL_OR(by_index.indkey[0] = part.attnum)
        FROM pg_index AS by_index
        WHERE
            by_index.indrelid = part.attrelid
            AND by_index.indisunique
            AND by_index.indpred IS NULL
            AND by_index.indnkeyatts = 1
    ), FALSE) AS is_unique
FROM pg_attribute AS part
WHERE part.attrelid = %(number)s::OID AND part.attnum > 0 AND NOT part.attisdropped
ORDER BY part.attnum

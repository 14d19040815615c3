-- List the privileges that this login lacks on tables of the search path, as `table privilege`; a table that is not
-- there is listed with the word `exists`.
SELECT asked.table_name || ' ' || CASE WHEN TO_REGCLASS(asked.table_name) IS NULL THEN 'exists' ELSE asked.privilege END AS missing
FROM UNNEST(%(tables)s::TEXT[], %(privileges)s::TEXT[]) AS asked (table_name, privilege)
WHERE
    TO_REGCLASS(asked.table_name) IS NULL
    OR NOT HAS_TABLE_PRIVILEGE(TO_REGCLASS(asked.table_name), asked.privilege)
ORDER BY missing

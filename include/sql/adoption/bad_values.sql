-- Count the texts of a column that can't become the ledger's type, and show the first of them.
SELECT
    COUNT(*) AS bad,
    (ARRAY_AGG(FORMAT('%%s (row %%s)', LEFT({text}, 40), COALESCE({their_id}::text, '?'))))[1:5] AS examples
FROM {their_table} AS theirs
WHERE NOT PG_INPUT_IS_VALID({text}, %(type)s)

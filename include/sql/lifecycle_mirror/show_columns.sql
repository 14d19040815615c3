-- Return no row: the result's description names the columns.
SELECT * FROM {mirror}
WHERE FALSE

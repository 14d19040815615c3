-- No row: the columns come back as the result's description.
SELECT * FROM {mirror}
WHERE FALSE

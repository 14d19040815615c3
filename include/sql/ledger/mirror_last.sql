-- Read where the last cycle of a mirror stopped; transactions are numbers.
SELECT
    ledger,
    watermark::text::numeric AS watermark,
    columns,
    pipelines
FROM lifecycle_mirrors
WHERE mirror = %(mirror)s

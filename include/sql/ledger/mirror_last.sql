-- What the last cycle of a mirror left; transactions as numbers.
SELECT
    ledger,
    watermark::text::numeric AS watermark,
    columns,
    pipelines
FROM lifecycle_mirrors
WHERE mirror = %(mirror)s

-- Store how far a mirror has come, after its warehouse has committed.
INSERT INTO lifecycle_mirrors (mirror, ledger, watermark, columns, pipelines, row_count, full_because, mirrored_at)
VALUES (
    %(mirror)s, %(ledger)s, %(watermark)s::text::xid8, %(ledger_columns)s, %(pipelines)s, %(row_count)s, %(full_because)s,
    %(mirrored_at)s
)
ON CONFLICT (mirror) DO UPDATE SET
    ledger = excluded.ledger,
    watermark = excluded.watermark,
    columns = excluded.columns,
    pipelines = excluded.pipelines,
    row_count = excluded.row_count,
    full_because = excluded.full_because,
    mirrored_at = excluded.mirrored_at

-- Allow one guard row per source object and one receipt per exact window.
CREATE UNIQUE INDEX IF NOT EXISTS {receipts_index}
ON {receipts} (source_object, window_start_at, window_end_at) NULLS NOT DISTINCT

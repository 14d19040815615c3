-- Create the receipts table if it is missing. Kinds: guard (one per source object), load and delete (one per window).
CREATE TABLE IF NOT EXISTS {receipts} (
    kind TEXT NOT NULL CHECK (kind IN ('guard', 'load', 'delete')),
    source_object TEXT NOT NULL,
    window_start_at TIMESTAMPTZ,
    window_end_at TIMESTAMPTZ,
    fence BIGINT NOT NULL DEFAULT 0,
    lifecycle_id BIGINT NOT NULL DEFAULT 0,
    row_count BIGINT NOT NULL DEFAULT 0,
    hash_sum NUMERIC(38, 0) NOT NULL DEFAULT 0,
    manifest TEXT NOT NULL DEFAULT '',
    fence_floor BIGINT NOT NULL DEFAULT 0,
    written_at TIMESTAMPTZ NOT NULL DEFAULT CLOCK_TIMESTAMP(),
    CHECK ((kind = 'guard') = (window_start_at IS NULL) AND (kind = 'guard') = (window_end_at IS NULL))
)

-- Create the receipts table if it is missing. Kinds: guard (one per source object), load and delete (one per window).
-- A sum of hashes has more digits than a number of SQLite, so it is text.
CREATE TABLE IF NOT EXISTS {receipts} (
    kind TEXT NOT NULL CHECK (kind IN ('guard', 'load', 'delete')),
    source_object TEXT NOT NULL,
    window_start_at TIMESTAMP,
    window_end_at TIMESTAMP,
    fence INTEGER NOT NULL,
    lifecycle_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    hash_sum TEXT NOT NULL,
    manifest TEXT NOT NULL,
    fence_floor INTEGER NOT NULL,
    written_at TIMESTAMP NOT NULL,
    UNIQUE (source_object, window_start_at, window_end_at)
)

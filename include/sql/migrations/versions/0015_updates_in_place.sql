-- Most steps of a window change its row in place (a heap-only update), so that table and indexes stay small. On a ledger
-- of a million rows this takes a minute or so, and nothing else can use the ledger meanwhile. A build before this one
-- works as before, but reads the whole table where it plans many windows or mirrors.

-- Every step changes these two columns. A B-tree on one of them gets a new entry for each step, and so do all other
-- indexes; a BRIN index only widens the range that it keeps for some pages (before Postgres 16 it is like a B-tree in
-- this). Transactions only grow, so a range ends at the last change of its pages: what was changed since a moment is
-- found without reading older pages. BRIN knows no transaction ids, but whole numbers.
DROP INDEX pipeline_lifecycle_changed_in;
CREATE INDEX pipeline_lifecycle_changed_in ON pipeline_lifecycle
USING brin ((changed_in::text::bigint)) WITH (pages_per_range = 16, autosummarize = on);

DROP INDEX pipeline_lifecycle_fences;
CREATE INDEX pipeline_lifecycle_fences ON pipeline_lifecycle
USING brin (fence) WITH (pages_per_range = 16, autosummarize = on);

-- No column of it changes with a window's steps, and none is merely included: all versions of a row share one entry.
DROP INDEX pipeline_lifecycle_day;
CREATE INDEX pipeline_lifecycle_day ON pipeline_lifecycle
(source_object, target_day, query_window_start_at, query_window_end_at, is_invalidated_flag);

-- Room for a row's next version on its own page, and vacuum as soon as one row in twenty has a dead version.
ALTER TABLE pipeline_lifecycle SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

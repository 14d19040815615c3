-- Rows of a team's older state table on their way into the ledger, and afterwards the record of what was decided.
CREATE SEQUENCE pipeline_lifecycle_import_id_seq AS bigint;

CREATE TABLE pipeline_lifecycle_import AS
SELECT * FROM pipeline_lifecycle WITH NO DATA;

ALTER TABLE pipeline_lifecycle_import
ADD COLUMN import_id bigint NOT NULL,
ADD COLUMN imported_from text NOT NULL,
ADD COLUMN imported_at timestamptz NOT NULL DEFAULT now(),
ADD COLUMN their_id text NOT NULL,
ADD COLUMN their_status text,
ADD COLUMN resolution text NOT NULL DEFAULT 'kept',
ADD COLUMN reason text NOT NULL DEFAULT '',
ADD COLUMN adopted_lifecycle_id bigint,
ADD CONSTRAINT pipeline_lifecycle_import_pkey PRIMARY KEY (import_id, id),
ADD CONSTRAINT resolution_is_known CHECK (resolution IN ('kept', 'run_again', 'invalidated'));

-- What was adopted before is found by it.
CREATE INDEX pipeline_lifecycle_import_theirs ON pipeline_lifecycle_import (imported_from, source_object, their_id);

-- A few days of one source are looked at again.
CREATE INDEX pipeline_lifecycle_import_day ON pipeline_lifecycle_import (import_id, source_object, target_day);

-- What an import looks like while it is being resolved: the state manager's statements read it like the ledger. The
-- transaction that imports says which rows it means; for everybody else the view is empty.
CREATE VIEW pipeline_lifecycle_importing AS
SELECT
    id,
    source_object,
    timezone,
    target_day,
    query_window_start_at,
    query_window_end_at,
    pipeline_final_status,
    phase_completed,
    stage_to_target_ingestion_start_time,
    FALSE AS is_invalidated_flag,
    0::bigint AS fence,
    coalesce(record_inserted_at, '1970-01-01 00:00:00+00') AS record_inserted_at,
    coalesce(record_last_updated_at, record_inserted_at, '1970-01-01 00:00:00+00') AS record_last_updated_at
FROM pipeline_lifecycle_import
WHERE
    import_id = nullif(current_setting('pipeline_lifecycle.import_id', TRUE), '')::bigint
    AND resolution = 'kept'
UNION ALL
SELECT
    -id AS id,
    source_object,
    timezone,
    target_day,
    query_window_start_at,
    query_window_end_at,
    pipeline_final_status,
    phase_completed,
    stage_to_target_ingestion_start_time,
    is_invalidated_flag,
    fence,
    record_inserted_at,
    record_last_updated_at
FROM pipeline_lifecycle
WHERE NOT is_invalidated_flag AND current_setting('pipeline_lifecycle.import_beside_ledger', TRUE) = 'on';

-- Only an owner may ANALYZE; without it every statement of a large import is planned for an empty table.
CREATE FUNCTION pipeline_lifecycle_import_know_sizes() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) public.pipeline_lifecycle_import;
    ANALYZE (SKIP_LOCKED) public.pipeline_lifecycle;
END
$$;

-- Its ledger columns mean what the ledger's mean.
DO $$
DECLARE
    ledger record;
BEGIN
    FOR ledger IN
        SELECT attname, col_description(attrelid, attnum) AS meaning
        FROM pg_attribute
        WHERE attrelid = 'pipeline_lifecycle'::regclass AND attnum > 0 AND NOT attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN pipeline_lifecycle_import.%I IS %L', ledger.attname, ledger.meaning);
    END LOOP;
END
$$;
COMMENT ON TABLE pipeline_lifecycle_import IS 'Rows of older state tables as `ledger adopt` read them, under the ledger''s column names, with what was decided for each.';
COMMENT ON VIEW pipeline_lifecycle_importing IS 'Rows of the import that this transaction is resolving, and, where it says so, the ledger''s live rows under their negative id; empty otherwise.';
COMMENT ON FUNCTION pipeline_lifecycle_import_know_sizes() IS 'ANALYZE of ledger and import, for a login that doesn''t own them.';
COMMENT ON SEQUENCE pipeline_lifecycle_import_id_seq IS 'Numbers of imports; those of dry runs leave gaps.';
COMMENT ON COLUMN pipeline_lifecycle_import.id IS 'Number under which findings name the row: its own id where those are unique whole numbers, else its place in the import.';
COMMENT ON COLUMN pipeline_lifecycle_import.pipeline_final_status IS 'Their status in the ledger''s words; an IN_PROGRESS one has no living owner here and is PENDING.';
COMMENT ON COLUMN pipeline_lifecycle_import.is_invalidated_flag IS 'They had invalidated it.';
COMMENT ON COLUMN pipeline_lifecycle_import.is_replacement_run_flag IS 'It takes the place of a row that may have loaded something.';
COMMENT ON COLUMN pipeline_lifecycle_import.import_id IS 'One number per `ledger adopt --apply`.';
COMMENT ON COLUMN pipeline_lifecycle_import.imported_from IS 'Schema and name of their table.';
COMMENT ON COLUMN pipeline_lifecycle_import.imported_at IS 'When the import began.';
COMMENT ON COLUMN pipeline_lifecycle_import.their_id IS 'Their id as text; with imported_from and source_object it keeps a row from being adopted twice. Without an id: its window. #2, #3, …: the same id or window again.';
COMMENT ON COLUMN pipeline_lifecycle_import.their_status IS 'Their status as it stands there.';
COMMENT ON COLUMN pipeline_lifecycle_import.resolution IS 'kept: live in the ledger as it was. run_again: live, but PENDING instead of finished. invalidated: in the ledger, but not live.';
COMMENT ON COLUMN pipeline_lifecycle_import.reason IS 'Why it was not simply kept.';
COMMENT ON COLUMN pipeline_lifecycle_import.adopted_lifecycle_id IS 'Its row in the ledger.';

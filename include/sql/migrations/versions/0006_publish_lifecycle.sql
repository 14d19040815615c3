-- Which transaction last changed a row, and how far each mirror of the ledger has come. Rows that are there get this
-- migration's own transaction, without being rewritten.
ALTER TABLE pipeline_lifecycle ADD COLUMN changed_in xid8 NOT NULL DEFAULT pg_current_xact_id();

CREATE INDEX pipeline_lifecycle_changed_in ON pipeline_lifecycle (changed_in);

CREATE FUNCTION pipeline_lifecycle_notes_its_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_in := pg_current_xact_id();
    RETURN NEW;
END
$$;
CREATE TRIGGER notes_its_transaction BEFORE INSERT OR UPDATE ON pipeline_lifecycle
FOR EACH ROW EXECUTE FUNCTION pipeline_lifecycle_notes_its_transaction();

CREATE TABLE lifecycle_mirrors (
    mirror text PRIMARY KEY,
    ledger text NOT NULL,
    watermark xid8 NOT NULL,
    columns text[] NOT NULL,
    pipelines text[] NOT NULL,
    row_count bigint NOT NULL,
    full_because text,
    mirrored_at timestamptz NOT NULL,

    CONSTRAINT rows_are_counted CHECK (row_count >= 0)
);

COMMENT ON COLUMN pipeline_lifecycle.changed_in IS 'Transaction that last changed the row, kept by a trigger. Unlike record_last_updated_at it finds changes that were committed late: publish_lifecycle reads by it.';
COMMENT ON FUNCTION pipeline_lifecycle_notes_its_transaction() IS 'Writes the running transaction into changed_in, whatever the statement said.';
COMMENT ON TABLE lifecycle_mirrors IS 'How far publish_lifecycle has come with each warehouse; written after the warehouse''s commit.';
COMMENT ON COLUMN lifecycle_mirrors.mirror IS 'Connection of the warehouse, and database and schema where the pipelines name them.';
COMMENT ON COLUMN lifecycle_mirrors.ledger IS 'Which ledger was read: system identifier, timeline, database and file of its table. Another one (restored, rebuilt, rewritten) has other transactions and is mirrored in full.';
COMMENT ON COLUMN lifecycle_mirrors.watermark IS 'Oldest transaction that was still open when the ledger was read: the next cycle reads what it and all later ones changed.';
COMMENT ON COLUMN lifecycle_mirrors.columns IS 'Ledger columns with their types as mirrored; other ones are mirrored in full.';
COMMENT ON COLUMN lifecycle_mirrors.pipelines IS 'Pipelines whose rows are mirrored there; with a further one everything is mirrored again.';
COMMENT ON COLUMN lifecycle_mirrors.row_count IS 'Rows of the last cycle.';
COMMENT ON COLUMN lifecycle_mirrors.full_because IS 'Why the last cycle mirrored everything; NULL: it took changed rows only.';
COMMENT ON COLUMN lifecycle_mirrors.mirrored_at IS 'When the ledger was read for it; database clock.';

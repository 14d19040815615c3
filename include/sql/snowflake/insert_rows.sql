-- Move the landed lines into the target; the window was emptied in the same transaction.
-- The staged time ends in Z: its first 26 characters are UTC with microseconds.
INSERT INTO {target} (
    _source_object,
    _id,
    _id_hash,
    _event_at,
    _lifecycle_id,
    _fence,
    _file,
    doc{columns}
)
SELECT
    %(source_object)s,
    line['_id']::TEXT,
    line['_id_hash']::NUMBER(19, 0),
    TO_TIMESTAMP_NTZ(LEFT(line['_event_at']::TEXT, 26), 'YYYY-MM-DD"T"HH24:MI:SS.FF6'),
    %(lifecycle_id)s,
    %(fence)s,
    %(file)s,
    line['doc']{values}
FROM ({typed_rows}) AS typed_rows

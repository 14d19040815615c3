-- Move the landed rows into the target; the window was emptied in the same transaction.
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
    _id,
    _id_hash,
    _event_at,
    %(lifecycle_id)s,
    %(fence)s,
    %(file)s,
    doc{landed_columns}
FROM {landed}

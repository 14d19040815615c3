-- Move the landed rows of the loading windows into the target; the windows were emptied in the same transaction.
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
    loading.source_object,
    landed._id,
    landed._id_hash,
    landed._event_at,
    landed._lifecycle_id,
    loading.fence,
    loading.file_name,
    landed.doc{landed_columns}
FROM {landed} AS landed
INNER JOIN (
{each}
) AS loading ON landed._lifecycle_id = loading.lifecycle_id

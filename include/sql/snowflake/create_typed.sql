-- Create the loaded lines as rows of the target, also for this session only: every cast happens here, before the
-- transaction, so that the lock of the guard row is held as short as possible. `refused_column` is the position of the
-- first column whose text does not fit its type. Of several windows, the event time tells which one a row is of.
CREATE OR REPLACE TEMPORARY TABLE {landed} AS
SELECT
    {lifecycle_id} AS _lifecycle_id,
    _id,
    _id_hash,
    _event_at,
    doc{landed_columns},
    {refused_column} AS refused_column
FROM (
    SELECT
        _id,
        _id_hash,
        _event_at,
        doc{casts}
    FROM (
        SELECT
            _id,
            _id_hash,
            _event_at,
            doc{texts}
        FROM (
{lines}
        ) AS lines
    ) AS lines_with_texts
) AS lines_with_values

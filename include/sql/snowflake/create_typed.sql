-- Create the landed lines as rows of the target, also for this session only: every cast happens here, before the
-- transaction, so that the lock of the guard row is held as short as possible. `refused_column` is the position of the
-- first column whose text does not fit its type. The staged time ends in Z: its first 26 characters are UTC with
-- microseconds.
CREATE OR REPLACE TEMPORARY TABLE {landed} AS
SELECT
    line['_id']::TEXT AS _id,
    line['_id_hash']::NUMBER(19, 0) AS _id_hash,
    TO_TIMESTAMP_NTZ(LEFT(line['_event_at']::TEXT, 26), 'YYYY-MM-DD"T"HH24:MI:SS.FF6') AS _event_at,
    line['doc'] AS doc{landed_columns},
    {refused_column} AS refused_column
FROM (
    SELECT
        line{casts}
    FROM (
        SELECT
            line{texts}
        FROM {loading}
    ) AS lines_with_texts
) AS lines_with_values

-- A part of a statement: id, hash, event time and document of every loaded line of version 1. The staged time ends in Z:
-- its first 26 characters are UTC with microseconds.
SELECT
    line['_id']::TEXT AS _id,
    line['_id_hash']::NUMBER(19, 0) AS _id_hash,
    TO_TIMESTAMP_NTZ(LEFT(line['_event_at']::TEXT, 26), 'YYYY-MM-DD"T"HH24:MI:SS.FF6') AS _event_at,
    line['doc'] AS doc
FROM {loading}

-- Import the rows of all sources of one time zone that were not adopted before. The bounds of the local days come from
-- the client, so that both sides use one time zone database.
INSERT INTO pipeline_lifecycle_import (
    import_id, imported_from, their_id, their_status, adopted_lifecycle_id, resolution, reason,
    id, source_object, timezone, target_day, query_window_start_at, query_window_end_at, time_interval,
    source_query_window_duration_minutes, pipeline_final_status{columns}
)
WITH theirs AS (
    SELECT
        {their_id} AS own_id,
        {their_source} AS source_object,
        {their_start} AS start_at,
        {their_end} AS end_at,
        {their_status} AS own_status,
        {is_invalidated} AS is_gone{selected}
    FROM {their_rows} AS theirs
),

identified AS (
    SELECT
        theirs.*,
        {identity} AS their_id
    FROM theirs
    WHERE source_object = ANY(%(sources)s::text[])
),

fresh AS (
    SELECT
        identified.*,
        %(imported_before)s + {number} AS number,
        EXTRACT(EPOCH FROM identified.end_at - identified.start_at) AS seconds,
        FLOOR(EXTRACT(EPOCH FROM identified.end_at - identified.start_at))::bigint AS whole
    FROM identified
    LEFT JOIN pipeline_lifecycle_import AS earlier
        ON
            earlier.imported_from = %(imported_from)s
            AND identified.source_object = earlier.source_object
            AND identified.their_id = earlier.their_id
            AND %(adopts)s
    WHERE earlier.import_id IS NULL
)

SELECT
    %(import_id)s,
    %(imported_from)s,
    fresh.their_id,
    fresh.own_status,
    CASE WHEN %(adopts)s THEN NEXTVAL('pipeline_lifecycle_id_seq') END,
    CASE WHEN fresh.is_gone THEN 'invalidated' ELSE 'kept' END,
    CASE WHEN fresh.is_gone THEN 'it was invalidated in ' || %(imported_from)s ELSE '' END,
    fresh.number,
    fresh.source_object,
    %(timezone)s,
    (%(days)s::date[])[WIDTH_BUCKET(fresh.start_at, %(starts)s::timestamptz[])],
    fresh.start_at,
    fresh.end_at,
    COALESCE(
        NULLIF(
            CONCAT(
                NULLIF(fresh.whole / 86400, 0) || 'd',
                NULLIF(MOD(fresh.whole, 86400) / 3600, 0) || 'h',
                NULLIF(MOD(fresh.whole, 3600) / 60, 0) || 'm',
                NULLIF(TRIM_SCALE(MOD(fresh.seconds, 60)), 0) || 's'
            ),
            ''
        ),
        '0s'
    ),
    fresh.seconds / 60,
    CASE COALESCE(known.ours, UPPER(fresh.own_status), 'PENDING')
        WHEN 'IN_PROGRESS' THEN 'PENDING' ELSE COALESCE(known.ours, UPPER(fresh.own_status), 'PENDING')
    END{columns}
FROM fresh
LEFT JOIN UNNEST(%(theirs)s::text[], %(ours)s::text[]) AS known (theirs, ours)
    ON known.theirs = COALESCE(fresh.own_status, %(null_status)s)

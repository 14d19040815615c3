-- Read the older table's rows with the bounds of their windows, where its times have no offset. A local time that
-- occurs twice in autumn is read as the instant that makes the row as long as most rows of its source. If two rows say
-- the same within such an hour, the first row is the earlier one. Rows of a day begin and end at the first of two
-- midnights. An inclusive end is read as it is written, and then moved to the exclusive end.
WITH said AS (
    SELECT
        theirs,
        {their_source} AS source_object,
        {their_id} AS own_id,
        {their_start} AS last_start_at,
        {their_end} AS last_end_at,
        {to_exclusive} AS end_step,
        {start_is_local} AS is_start_local,
        {end_is_local} AS is_end_local,
        CURRENT_SETTING('TimeZone') AS zone
    FROM {their_table} AS theirs
),

usual AS (
    SELECT
        source_object,
        MODE() WITHIN GROUP (ORDER BY last_end_at + end_step - last_start_at) AS duration
    FROM said
    WHERE last_start_at < last_end_at + end_step AND ISFINITE(last_start_at) AND ISFINITE(last_end_at)
    GROUP BY source_object
),

before AS (
    -- read with the offset that was in force four hours earlier
    SELECT
        said.*,
        CASE
            WHEN is_start_local AND last_start_at BETWEEN '1900-01-01' AND '2200-01-01'
                THEN (
                    (last_start_at AT TIME ZONE zone)
                    - ((last_start_at - '4 hours'::interval) AT TIME ZONE zone)
                    + ((last_start_at - '4 hours'::interval) AT TIME ZONE 'UTC')
                ) AT TIME ZONE 'UTC'
        END AS start_at,
        CASE
            WHEN is_end_local AND last_end_at BETWEEN '1900-01-01' AND '2200-01-01'
                THEN (
                    (last_end_at AT TIME ZONE zone)
                    - ((last_end_at - '4 hours'::interval) AT TIME ZONE zone)
                    + ((last_end_at - '4 hours'::interval) AT TIME ZONE 'UTC')
                ) AT TIME ZONE 'UTC'
        END AS end_at
    FROM said
),

possible AS (
    SELECT
        before.theirs,
        before.source_object,
        before.last_start_at,
        before.last_end_at + before.end_step AS last_end_at,
        before.zone,
        CASE
            WHEN before.start_at < before.last_start_at AND before.start_at AT TIME ZONE zone = before.last_start_at AT TIME ZONE zone
                THEN before.start_at
            ELSE before.last_start_at
        END AS first_start_at,
        CASE
            WHEN before.end_at < before.last_end_at AND before.end_at AT TIME ZONE zone = before.last_end_at AT TIME ZONE zone
                THEN before.end_at + before.end_step
            ELSE before.last_end_at + before.end_step
        END AS first_end_at,
        (before.last_start_at AT TIME ZONE zone)::time = '00:00' AS starts_a_day,
        ((before.last_end_at + before.end_step) AT TIME ZONE zone)::time = '00:00' AS ends_a_day,
        ROW_NUMBER() OVER alike = 1 AND LEAD(TRUE, 1, FALSE) OVER alike AS has_a_later_twin
    FROM before
    WINDOW alike AS (
        PARTITION BY before.source_object, before.last_start_at, before.last_end_at
        ORDER BY LENGTH(before.own_id), before.own_id
    )
)

SELECT
    (possible.theirs).*,
    reading.start_at AS {read_start},
    reading.end_at AS {read_end}
FROM possible
LEFT JOIN usual ON possible.source_object = usual.source_object
CROSS JOIN LATERAL (
    SELECT
        bounds.start_at,
        bounds.end_at
    FROM (
        VALUES
        (possible.last_start_at, possible.last_end_at),
        (possible.last_start_at, possible.first_end_at),
        (possible.first_start_at, possible.last_end_at),
        (possible.first_start_at, possible.first_end_at)
    ) AS bounds (start_at, end_at)
    ORDER BY
        bounds.start_at < bounds.end_at DESC,
        CASE WHEN usual.duration >= '20 hours'::interval AND possible.starts_a_day THEN bounds.start_at END ASC,
        CASE
            WHEN usual.duration >= '20 hours'::interval AND possible.ends_a_day
                THEN (bounds.end_at AT TIME ZONE possible.zone)::time = '00:00'
        END DESC,
        CASE WHEN usual.duration >= '20 hours'::interval AND possible.ends_a_day THEN bounds.end_at END ASC,
        CASE
            WHEN ISFINITE(bounds.start_at) AND ISFINITE(bounds.end_at)
                THEN ABS(EXTRACT(EPOCH FROM bounds.end_at - bounds.start_at - usual.duration))
        END ASC,
        CASE WHEN possible.has_a_later_twin THEN bounds.start_at END ASC,
        bounds.start_at DESC
    LIMIT 1
) AS reading

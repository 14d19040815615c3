-- Read the last local day, up to one, on which each source has live rows.
SELECT
    wanted.source_object,
    latest.target_day
FROM UNNEST(%(sources)s::text[], %(until)s::date[]) AS wanted (source_object, until)
CROSS JOIN
    LATERAL (
        SELECT state.target_day
        FROM pipeline_lifecycle AS state
        WHERE
            state.source_object = wanted.source_object
            AND state.target_day <= wanted.until
            AND NOT state.is_invalidated_flag
        ORDER BY state.target_day DESC
        LIMIT 1
    ) AS latest

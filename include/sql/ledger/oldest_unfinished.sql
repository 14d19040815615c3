-- Read the start of each source's oldest window that is due and not finished.
SELECT
    wanted.source_object,
    oldest.query_window_start_at AS behind_since
FROM
    UNNEST(%(sources)s::text[], %(settled)s::timestamptz[]) AS wanted (source_object, settled_at)
CROSS JOIN
    LATERAL (
        SELECT state.query_window_start_at
        FROM pipeline_lifecycle AS state
        WHERE
            state.source_object = wanted.source_object
            AND NOT state.is_invalidated_flag
            AND state.pipeline_final_status IN ('PENDING', 'IN_PROGRESS', 'FAILED')
            AND state.query_window_end_at <= wanted.settled_at
        ORDER BY state.query_window_end_at
        LIMIT 1
    ) AS oldest

-- Read the live rows of a campaign in the given states (NULL: in all), by window start.
SELECT * FROM pipeline_lifecycle
WHERE
    campaign_id = %(campaign_id)s
    AND NOT is_invalidated_flag
    AND (%(statuses)s::text[] IS NULL OR pipeline_final_status = ANY(%(statuses)s))
ORDER BY query_window_start_at

-- Read what the windows of some days typically took: the median of the rows staged, and of the seconds of an extract.
SELECT
    PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY staged_count) AS staged_rows,
    PERCENTILE_DISC(0.5) WITHIN GROUP (
        ORDER BY EXTRACT(EPOCH FROM source_to_stage_ingestion_end_time - source_to_stage_ingestion_start_time)
    ) AS seconds
FROM pipeline_lifecycle
WHERE
    source_object = %(source_object)s
    AND target_day BETWEEN %(first_day)s AND %(last_day)s
    AND NOT is_invalidated_flag
    AND pipeline_final_status = 'COMPLETED'
    AND source_to_stage_ingestion_end_time IS NOT NULL

-- Create a campaign of this run and source; a campaign that an interrupted try has created is returned unchanged.
WITH made AS (
    INSERT INTO backfill_campaigns (
        source_object, pipeline_id, mode, ranges, granularity, window_order, concurrency, priority, reason, dag_id, dag_run_id
    )
    VALUES (
        %(source_object)s, %(pipeline_id)s, %(mode)s, %(ranges)s, %(granularity)s, %(window_order)s, %(concurrency)s,
        %(priority)s, %(reason)s, %(dag_id)s, %(dag_run_id)s
    )
    ON CONFLICT (dag_id, dag_run_id, source_object) DO NOTHING
    RETURNING *
)

SELECT * FROM made
UNION ALL
SELECT * FROM backfill_campaigns
WHERE dag_id = %(dag_id)s AND dag_run_id = %(dag_run_id)s AND source_object = %(source_object)s

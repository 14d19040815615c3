-- Read every row that a DAG run ever claimed or took, found by its events, in its present state.
SELECT * FROM pipeline_lifecycle
WHERE
    id IN (
        SELECT lifecycle_id
        FROM pipeline_lifecycle_events
        WHERE event IN ('claimed', 'taken') AND dag_id = %(dag_id)s AND dag_run_id = %(dag_run_id)s
    )
ORDER BY source_object, query_window_start_at, id

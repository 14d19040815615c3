-- Add a revisit of a day; what an interrupted try of the same run has added stays unchanged.
INSERT INTO window_revisits (
    source_object, target_day, days_after, mode, windows, changed, rows_before, rows_now, late_rows, gone_rows, lags,
    dag_id, dag_run_id
)
VALUES (
    %(source_object)s, %(target_day)s, %(days_after)s, %(mode)s, %(windows)s, %(changed)s, %(rows_before)s, %(rows_now)s,
    %(late_rows)s, %(gone_rows)s, %(lags)s, %(dag_id)s, %(dag_run_id)s
)
ON CONFLICT DO NOTHING
RETURNING *

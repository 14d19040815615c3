-- Write the summary row of a run (requirement 5, D): it is running, with the day that the run takes as today. If a
-- cleared run starts again, its row starts again.
INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, report_date, overall_status)
VALUES (%(run_id)s, %(pipeline_name)s, %(run_env)s, clock_timestamp(), %(report_date)s, 'running')
ON CONFLICT (run_id) DO UPDATE SET
    pipeline_name = excluded.pipeline_name, run_env = excluded.run_env, started_at = excluded.started_at,
    finished_at = NULL, report_date = excluded.report_date, overall_status = 'running', summary_text = NULL

-- Mark runs of the orders sync that began too long ago to be alive as failed: they ended without reporting.
UPDATE pipeline_run_summaries
SET
    finished_at = CLOCK_TIMESTAMP(), overall_status = 'failed',
    summary_text = 'This run died: it did not say how it ended within ' || %(hours)s::TEXT || ' hours.'
WHERE pipeline_name = ANY(%(pipeline_names)s) AND overall_status = 'running'
    AND started_at < CLOCK_TIMESTAMP() - MAKE_INTERVAL(secs => %(hours)s * 3600)

-- Write how a run ended (requirement 5, E).
UPDATE pipeline_run_summaries
SET finished_at = clock_timestamp(), overall_status = %(overall_status)s, summary_text = %(summary_text)s
WHERE run_id = %(run_id)s

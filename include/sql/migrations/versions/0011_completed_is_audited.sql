-- A COMPLETED row has passed its audit: the rule of the first version let a row pass that knew nothing of an audit,
-- because a comparison with NULL is neither true nor false. No command and no task has ever written such a row.
ALTER TABLE pipeline_lifecycle DROP CONSTRAINT completed_is_audited;
ALTER TABLE pipeline_lifecycle ADD CONSTRAINT completed_is_audited CHECK (
    pipeline_final_status != 'COMPLETED'
    OR (audit_result_status IS NOT DISTINCT FROM 'PASSED' AND phase_completed IS NOT DISTINCT FROM 'AUDIT')
);

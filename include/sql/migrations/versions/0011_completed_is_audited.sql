-- A COMPLETED row has passed its audit: the rule of the first version let a row pass that knew nothing of an audit,
-- because a comparison with NULL is neither true nor false. No command and no task has ever written such a row.
DO $$
DECLARE
    bad bigint;
BEGIN
    SELECT min(id) INTO bad
    FROM pipeline_lifecycle
    WHERE
        pipeline_final_status = 'COMPLETED'
        AND (audit_result_status IS DISTINCT FROM 'PASSED' OR phase_completed IS DISTINCT FROM 'AUDIT');
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'ledger row % says COMPLETED, but has no audit that was passed', bad
            USING HINT = 'A person has written it: set its pipeline_final_status to SKIPPED (done, not audited), then run ledger migrate again.';
    END IF;
END $$;

ALTER TABLE pipeline_lifecycle DROP CONSTRAINT completed_is_audited;
ALTER TABLE pipeline_lifecycle ADD CONSTRAINT completed_is_audited CHECK (
    pipeline_final_status != 'COMPLETED'
    OR (audit_result_status IS NOT DISTINCT FROM 'PASSED' AND phase_completed IS NOT DISTINCT FROM 'AUDIT')
);

-- Write an event that changes nothing: a task start that a newer one had overtaken tried to write, and was refused. The
-- row is locked, so that the events stay in the order in which things happened.
INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, from_status, to_status, from_phase, to_phase, fence,
    dag_id, dag_run_id, task_id, map_index, try_number, reason, numbers
)
SELECT
    id,
    'refused',
    pipeline_final_status,
    pipeline_final_status,
    phase_completed,
    phase_completed,
    fence,
    %(dag_id)s,
    %(dag_run_id)s,
    %(task_id)s,
    %(map_index)s,
    %(try_number)s,
    %(reason)s,
    JSONB_BUILD_OBJECT('refused_fence', %(refused_fence)s::bigint)
FROM pipeline_lifecycle
WHERE id = %(id)s
FOR UPDATE
RETURNING id

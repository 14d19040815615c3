-- Renew the lease of a running task; no row comes back when another task start owns the window.
UPDATE pipeline_lifecycle
SET heartbeat_at = CLOCK_TIMESTAMP()
WHERE id = %(id)s AND fence = %(fence)s AND pipeline_final_status = 'IN_PROGRESS' AND NOT is_invalidated_flag
RETURNING id

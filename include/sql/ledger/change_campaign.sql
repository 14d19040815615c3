-- Pause, resume or cancel a campaign, or note that all of its windows have joined it; no row comes back if the campaign
-- is in a state from which this is not allowed.
UPDATE backfill_campaigns
SET
    state = COALESCE(%(state)s, state),
    state_changed_at = CASE WHEN %(state)s IS NULL THEN state_changed_at ELSE CLOCK_TIMESTAMP() END,
    state_changed_by = CASE WHEN %(state)s IS NULL THEN state_changed_by ELSE %(changed_by)s END,
    planned_at = CASE WHEN %(is_planned)s THEN CLOCK_TIMESTAMP() ELSE planned_at END
WHERE campaign_id = %(campaign_id)s AND state = ANY(%(from_states)s)
RETURNING *

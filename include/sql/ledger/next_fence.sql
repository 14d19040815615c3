-- A fence greater than every fence that any task start of this ledger ever got: the timeline in its high bits, the number
-- of the sequence in the 40 low ones. A standby that lags behind its lost primary gives numbers again when it is promoted,
-- but never on the same timeline. A number that was set above a floor brings its high bits along: after a rebuild on a
-- server with a smaller timeline those count. With it, whether the ledger is the recorded one.
SELECT
    (GREATEST(seen.timeline, drawn.number >> 40) << 40) | (drawn.number & 1099511627775) AS fence,
    seen.*
FROM (SELECT NEXTVAL('pipeline_lifecycle_fence') AS number) AS drawn
CROSS JOIN ledger_identity_seen AS seen

-- Return a fence greater than every fence that any task start of this ledger ever got: the timeline in its high bits,
-- the number of the sequence in the 40 low bits. A promoted standby that lagged behind its lost primary issues the same
-- sequence numbers again, but never on the same timeline. A sequence number that was set above a floor already contains
-- high bits: after a rebuild on a server with a smaller timeline, those bits count. Also return whether this ledger is
-- the recorded one.
SELECT
    (GREATEST(seen.timeline, drawn.number >> 40) << 40) | (drawn.number & 1099511627775) AS fence,
    seen.*
FROM (SELECT NEXTVAL('pipeline_lifecycle_fence') AS number) AS drawn
CROSS JOIN ledger_identity_seen AS seen

-- A part of a statement: the ledger row of a loaded line whose event time lies in this window, else NULL.
CASE WHEN _event_at >= {start} AND _event_at < {end} THEN %(lifecycle_id)s END

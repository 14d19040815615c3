-- Delete the window by event time, and outside it only rows of replaced ledger rows; other source objects stay
-- unchanged.
DELETE FROM {target}
WHERE
    _source_object = %(source_object)s
    AND (
        (_event_at >= %(start)s AND _event_at < %(end)s)
        OR (
            _lifecycle_id = ANY(%(replaced_ids)s::BIGINT[])
            AND _event_at >= %(replaced_start)s
            AND _event_at < %(replaced_end)s
        )
    )

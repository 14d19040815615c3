-- Delete the window by event time, and outside it only rows of replaced ledger rows; other source objects stay
-- unchanged.
DELETE FROM {target}
WHERE
    _source_object = %(source_object)s
    AND (
        (_event_at >= {start} AND _event_at < {end})
        OR (
            _lifecycle_id {in_replaced}
            AND _event_at >= {replaced_start}
            AND _event_at < {replaced_end}
        )
    )

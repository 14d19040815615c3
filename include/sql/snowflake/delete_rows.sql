-- Delete the window by event time, and outside it only rows of replaced ledger rows; other source objects stay
-- unchanged.
DELETE FROM {target}
WHERE
    _source_object = %(source_object)s
    AND (
        (
            _event_at >= TO_TIMESTAMP_NTZ(%(start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
            AND _event_at < TO_TIMESTAMP_NTZ(%(end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
        )
        OR (
            _lifecycle_id IN (%(replaced_ids)s)
            AND _event_at >= TO_TIMESTAMP_NTZ(%(replaced_start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
            AND _event_at < TO_TIMESTAMP_NTZ(%(replaced_end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
        )
    )

-- Turn the receipts of replaced rows into deletes: the rows that they loaded were deleted everywhere. Their fences
-- stay, because nothing else in their windows was touched. The publish writes the receipt of this window itself.
UPDATE {receipts}
SET
    kind = 'delete',
    row_count = 0,
    hash_sum = 0,
    manifest = '',
    written_at = TO_TIMESTAMP_NTZ(%(now)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
WHERE
    source_object = %(source_object)s
    AND kind = 'load'
    AND lifecycle_id IN (%(replaced_ids)s)
    AND window_start_at < TO_TIMESTAMP_NTZ(%(replaced_end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
    AND window_end_at > TO_TIMESTAMP_NTZ(%(replaced_start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
    AND NOT (
        window_start_at = TO_TIMESTAMP_NTZ(%(start)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
        AND window_end_at = TO_TIMESTAMP_NTZ(%(end)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')
    )

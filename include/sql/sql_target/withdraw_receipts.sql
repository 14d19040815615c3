-- Turn the receipts of replaced rows into deletes: the rows that they loaded were deleted everywhere. Their fences
-- stay, because nothing else in their windows was touched. The publish writes the receipt of this window itself.
UPDATE {receipts}
SET kind = 'delete', row_count = 0, hash_sum = 0, manifest = '', written_at = {now}
WHERE
    source_object = %(source_object)s
    AND kind = 'load'
    AND lifecycle_id {in_replaced}
    AND window_start_at < {replaced_end}
    AND window_end_at > {replaced_start}
    AND NOT (window_start_at = {start} AND window_end_at = {end})

-- Receipts of replaced rows say delete: their rows are gone wherever they were. Their fences stay, because nothing else
-- in their windows was touched. The receipt of this window itself is written by the publish.
UPDATE {receipts}
SET kind = 'delete', row_count = 0, hash_sum = 0, manifest = '', written_at = %(now)s
WHERE
    source_object = %(source_object)s
    AND kind = 'load'
    AND lifecycle_id = ANY(%(replaced_ids)s::BIGINT[])
    AND window_start_at < %(replaced_end)s
    AND window_end_at > %(replaced_start)s
    AND NOT (window_start_at = %(start)s AND window_end_at = %(end)s)

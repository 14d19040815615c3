-- A part of a statement: the receipt of one window.
SELECT
    %(kind)s,
    %(source_object)s,
    {start},
    {end},
    %(fence)s,
    %(lifecycle_id)s,
    %(row_count)s,
    %(hash_sum)s,
    %(manifest)s,
    0,
    {now}

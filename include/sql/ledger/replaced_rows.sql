-- Read the invalidated rows that a row replaces, directly or through rows that were themselves replaced, and that still
-- owe a deletion.
WITH RECURSIVE chain AS (
    SELECT *
    FROM pipeline_lifecycle
    WHERE replaced_by_id = %(id)s
    UNION
    SELECT earlier.*
    FROM pipeline_lifecycle AS earlier
    INNER JOIN chain ON earlier.replaced_by_id = chain.id
)

SELECT
    id,
    query_window_start_at,
    query_window_end_at
FROM chain
WHERE NOT target_deletion_done_flag
ORDER BY id

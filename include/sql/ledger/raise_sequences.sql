-- Make the next fence and the next id greater than the given ones and than every one in the table. The ledger is
-- locked, so that no other session draws a number in between and a sequence never goes down.
SELECT
    SETVAL(
        'pipeline_lifecycle_fence',
        GREATEST(
            issued.fence, %(fence)s, (SELECT MAX(fence) FROM pipeline_lifecycle WHERE fence > issued.fence)
        )
    ) AS last_fence,
    SETVAL(
        'pipeline_lifecycle_id_seq',
        GREATEST(issued.id, %(record_id)s, (SELECT MAX(id) FROM pipeline_lifecycle))
    ) AS last_id
FROM (
    SELECT
        (GREATEST(seen.timeline, fences.last_value >> 40) << 40) | (fences.last_value & 1099511627775) AS fence,
        ids.last_value AS id
    FROM pipeline_lifecycle_fence AS fences
    CROSS JOIN pipeline_lifecycle_id_seq AS ids
    CROSS JOIN ledger_identity_seen AS seen
) AS issued

-- Make the next fence and the next id greater than the given ones and than every one in the table. The ledger is
-- locked, so that no other session draws a number in between and a sequence never goes down.
SELECT
    SETVAL('pipeline_lifecycle_fence', GREATEST(fences.last_value, %(fence)s, there.fence)) AS last_fence,
    SETVAL('pipeline_lifecycle_id_seq', GREATEST(ids.last_value, %(record_id)s, there.id)) AS last_id
FROM pipeline_lifecycle_fence AS fences
CROSS JOIN pipeline_lifecycle_id_seq AS ids
CROSS JOIN (
    SELECT
        (SELECT MAX(fence) FROM pipeline_lifecycle WHERE fence > 0) AS fence,
        (SELECT MAX(id) FROM pipeline_lifecycle) AS id
) AS there

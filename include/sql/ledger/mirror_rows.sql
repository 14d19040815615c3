-- Read the rows of the pipelines that a transaction of this range changed, every column as text. Numbers above the
-- range belong to another server, from which the rows were restored: a full mirror has them. Transactions are compared as
-- the whole numbers that are in the index.
COPY (
    SELECT {texts}
    FROM pipeline_lifecycle
    WHERE
        pipeline_id = ANY(%(pipelines)s)
        AND (
            %(watermark)s::text IS NULL
            OR (
                changed_in::text::bigint >= %(watermark)s::text::bigint
                AND changed_in::text::bigint < %(next_transaction)s::text::bigint
            )
        )
    ORDER BY id
) TO STDOUT

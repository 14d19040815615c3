-- Read the rows of the pipelines that a transaction of this range changed, every column as text. Numbers above the
-- range belong to another server, from which the rows were restored: a full mirror has them.
COPY (
    SELECT {texts}
    FROM pipeline_lifecycle
    WHERE
        pipeline_id = ANY(%(pipelines)s)
        AND (
            %(watermark)s::text IS NULL
            OR (changed_in >= %(watermark)s::text::xid8 AND changed_in < %(next_transaction)s::text::xid8)
        )
    ORDER BY id
) TO STDOUT

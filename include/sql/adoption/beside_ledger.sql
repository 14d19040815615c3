-- From here on, the view shows the ledger's live rows beside the imported ones, where the ledger has any.
SELECT
    SET_CONFIG(
        'pipeline_lifecycle.import_beside_ledger',
        CASE
            WHEN EXISTS (
                SELECT FROM pipeline_lifecycle
                WHERE source_object = ANY(%(source_objects)s) AND NOT is_invalidated_flag
            )
                THEN 'on'
            ELSE 'off'
        END,
        TRUE
    )

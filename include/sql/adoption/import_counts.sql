-- Count the imported rows by their outcome.
SELECT
    source_object,
    COUNT(*) AS total,
    COUNT(*) FILTER (WHERE resolution = 'kept') AS kept,
    COUNT(*) FILTER (WHERE resolution = 'run_again') AS run_again,
    COUNT(*) FILTER (WHERE resolution = 'invalidated') AS invalidated,
    COUNT(*) FILTER (WHERE UPPER(their_status) = 'IN_PROGRESS') AS in_progress
FROM pipeline_lifecycle_import
WHERE import_id = %(import_id)s
GROUP BY source_object
ORDER BY source_object

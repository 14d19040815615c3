-- Read the marks of sources that say from which day on their windows have to be looked at, and by what they were judged.
SELECT
    id,
    source_object,
    terms,
    settled_before
FROM settled_days
WHERE source_object = ANY(%(source_objects)s)
ORDER BY id

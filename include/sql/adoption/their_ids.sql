-- Check that each id of the older table names one row and is a whole number that the findings can show.
SELECT
    COUNT(*) AS total,
    COUNT(DISTINCT own_id) = COUNT(*) AS are_unique,
    COUNT(*) FILTER (WHERE own_id ~ '^(0|[1-9][0-9]{0,17})$') = COUNT(*) AS are_numbers
FROM (SELECT {their_id} AS own_id FROM {their_table} AS theirs) AS said

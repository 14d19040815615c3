-- Whether their ids name one row each, and are whole numbers that findings can show.
SELECT
    COUNT(*) AS total,
    COUNT(DISTINCT own_id) = COUNT(*) AS are_unique,
    COUNT(*) FILTER (WHERE own_id ~ '^(0|[1-9][0-9]{0,17})$') = COUNT(*) AS are_numbers
FROM (SELECT {their_id} AS own_id FROM {their_table} AS theirs) AS said

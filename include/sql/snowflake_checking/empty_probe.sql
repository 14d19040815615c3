-- Delete the row of the session's own table.
DELETE FROM {probe}
WHERE TRUE

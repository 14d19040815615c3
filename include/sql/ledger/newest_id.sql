-- Read the greatest id of the rows that are there (0: there are none); rows that are inserted afterwards get greater ones.
SELECT COALESCE(MAX(id), 0) AS id FROM pipeline_lifecycle

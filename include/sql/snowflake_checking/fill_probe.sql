-- Insert a row into the session's own table: it takes a warehouse that runs.
INSERT INTO {probe} SELECT PARSE_JSON('1')

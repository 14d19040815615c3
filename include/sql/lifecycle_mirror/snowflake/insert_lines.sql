-- Insert many rows in one statement; each is an array of texts.
INSERT INTO {loading}
SELECT value
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(%(lines)s)))

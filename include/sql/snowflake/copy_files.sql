-- Load exactly these files, including files that were loaded before (Snowflake would skip them for 64 days); all of
-- them or an error.
COPY INTO {loading}
FROM @{stage}
FILES = (%(files)s)
FILE_FORMAT = (TYPE = JSON)
ON_ERROR = ABORT_STATEMENT
FORCE = TRUE

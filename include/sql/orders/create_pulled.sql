-- Create the landing table of a report; it is private to the session.
CREATE TEMPORARY TABLE IF NOT EXISTS {pulled} AS SELECT 0::BIGINT AS row_number, {fields} FROM {table} WHERE FALSE

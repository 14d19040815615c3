-- Create the landing table of a report; it is private to the session and empty after every transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS {pulled} ON COMMIT DELETE ROWS AS SELECT {fields} FROM {table} WHERE FALSE

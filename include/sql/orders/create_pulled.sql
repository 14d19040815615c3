-- Where a report lands before it meets its table; private to the session, empty after every transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS {pulled} ON COMMIT DELETE ROWS AS SELECT {fields} FROM {table} WHERE FALSE

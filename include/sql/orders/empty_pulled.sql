-- Empty the landing table: a report begins, or all of it has been written.
TRUNCATE {pulled}

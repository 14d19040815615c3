-- End the wait for another connection that writes to the file after these milliseconds.
PRAGMA busy_timeout = {milliseconds}

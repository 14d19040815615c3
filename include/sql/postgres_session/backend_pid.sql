-- Return the number of the server process that answers.
SELECT PG_BACKEND_PID() AS backend_pid

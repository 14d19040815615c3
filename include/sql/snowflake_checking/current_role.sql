-- Read the session's primary role.
SELECT CURRENT_ROLE() AS role_name

-- Who this session is, for people who look at the locks; dates are never the server's.
SELECT set_config('application_name', %(name)s, FALSE), set_config('timezone', 'UTC', FALSE), pg_backend_pid()

-- Name this session, for people who look at the locks; dates never come from the server.
SELECT set_config('application_name', %(name)s, FALSE), set_config('timezone', 'UTC', FALSE), pg_backend_pid()

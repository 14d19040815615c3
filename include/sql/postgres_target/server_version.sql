-- Read the server's version as a number: 180006 for 18.6.
SELECT CURRENT_SETTING('server_version_num')::INTEGER AS version_number

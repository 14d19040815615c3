-- Read the server's clock: UTC, without a zone.
SELECT SYSDATE() AS server_now

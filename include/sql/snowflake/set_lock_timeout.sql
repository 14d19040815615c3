-- End the wait for another publish after seconds; Snowflake's own default is twelve hours.
ALTER SESSION SET LOCK_TIMEOUT = %(seconds)s

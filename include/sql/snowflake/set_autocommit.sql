-- Every statement outside BEGIN … COMMIT commits at once, whatever the account or the user has set.
ALTER SESSION SET AUTOCOMMIT = TRUE

-- Make every statement outside BEGIN … COMMIT commit at once, whatever the account or the user has set.
ALTER SESSION SET AUTOCOMMIT = TRUE

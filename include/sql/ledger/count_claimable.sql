-- Count the windows to claim, up to the limit; lock nothing.
SELECT COUNT(*) AS windows
FROM ({claimable_rows}) AS claimable

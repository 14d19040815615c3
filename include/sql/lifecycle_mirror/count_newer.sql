-- Count the rows that a later cycle has written.
SELECT COUNT(*) AS newer
FROM {mirror}
WHERE _mirrored_at > {mirrored_at}

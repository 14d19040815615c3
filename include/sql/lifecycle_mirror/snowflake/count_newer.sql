-- Count the rows that a later cycle has written.
SELECT COUNT(*) AS newer
FROM {mirror}
WHERE _mirrored_at > TO_TIMESTAMP_NTZ(%(mirrored_at)s, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')

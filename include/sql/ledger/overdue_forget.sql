-- Delete the reports about a source that are too old to count.
DELETE FROM overdue_alerts
WHERE source_object = %(source_object)s AND alerted_at <= %(alerted_after)s
RETURNING subject

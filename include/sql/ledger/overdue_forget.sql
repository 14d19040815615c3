-- What people were told of a source too long ago to count.
DELETE FROM overdue_alerts
WHERE source_object = %(source_object)s AND alerted_at <= %(alerted_after)s
RETURNING subject

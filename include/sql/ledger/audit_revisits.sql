-- Read the revisits of a source since an instant, oldest first.
SELECT * FROM window_revisits
WHERE source_object = %(source_object)s AND revisited_at >= %(since)s
ORDER BY revisited_at, target_day

-- Return one row if the source object was prepared before.
SELECT fence_floor
FROM {receipts}
WHERE kind = 'guard' AND source_object = %(source_object)s

-- Take the lock that orders all publishes and deletes of the source object; it is held until commit or rollback.
UPDATE {receipts}
SET written_at = {clock}
WHERE kind = 'guard' AND source_object = %(source_object)s

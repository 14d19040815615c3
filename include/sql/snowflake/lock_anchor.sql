-- Hold the lock of the table until commit, so that the next statement sees every existing guard row.
UPDATE {receipts}
SET written_at = SYSDATE()
WHERE kind = 'anchor'

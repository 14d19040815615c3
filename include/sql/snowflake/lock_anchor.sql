-- Hold the table's lock until commit, so that the next statement sees every guard row that there is.
UPDATE {receipts}
SET written_at = SYSDATE()
WHERE kind = 'anchor'

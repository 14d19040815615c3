-- Delete earlier versions of the landed rows.
DELETE FROM {mirror}
WHERE id IN (SELECT {id} FROM {loading})

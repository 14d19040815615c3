-- Add the columns that the ledger has and the mirror lacks.
ALTER TABLE {mirror} {additions}

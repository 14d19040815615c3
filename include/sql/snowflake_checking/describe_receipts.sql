-- Read the present columns of the receipts table.
DESCRIBE TABLE {receipts}

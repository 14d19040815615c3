-- Other writers wait, readers don't; ends with the transaction.
LOCK TABLE {mirror} IN SHARE ROW EXCLUSIVE MODE

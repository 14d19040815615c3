-- Make other writers wait until the transaction ends; readers don't wait.
LOCK TABLE {mirror} IN SHARE ROW EXCLUSIVE MODE

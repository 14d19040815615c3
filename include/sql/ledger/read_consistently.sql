-- Every statement of this transaction sees one state of the ledger.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- Read the ledger's present identity beside the recorded one.
SELECT * FROM ledger_identity_seen

"""A ledger that was lost, restored or adopted."""

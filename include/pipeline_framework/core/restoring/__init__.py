"""Restoring: a ledger that was lost, restored or adopted."""

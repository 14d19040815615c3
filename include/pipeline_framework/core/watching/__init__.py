"""Watching after the load: late data, overdue windows, the mirror of the ledger."""

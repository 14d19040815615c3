"""What is watched afterwards: late data, overdue windows, the mirror of the ledger."""

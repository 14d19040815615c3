"""The orders sync: which date windows of every store to pull from the CRMs, and the pulling."""

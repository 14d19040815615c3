"""The orders sync: it decides which date windows of every store to pull from the CRMs, and pulls them."""

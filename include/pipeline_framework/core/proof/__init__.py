"""The proof of a load: fingerprints, receipts, audits, and how many rows may vanish."""

"""What proves a load: fingerprints, receipts, audits, and how many rows may vanish."""

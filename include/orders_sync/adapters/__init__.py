"""The orders sync's database and its CRMs."""

"""Ledger rows: their words, how they are generated, validated, planned and asked for."""

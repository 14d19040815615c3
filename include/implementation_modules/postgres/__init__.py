"""Postgres as a source, a target and a mirror of the ledger."""

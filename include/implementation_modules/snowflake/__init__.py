"""Snowflake as a target and a mirror of the ledger."""

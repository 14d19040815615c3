"""Indexes that keep planning and reading fast, however large the ledger is."""

from include.sql.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""Revisits of closed windows, and the index that finds those that are due."""

from include.sql.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

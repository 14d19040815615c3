"""Backfill campaigns, and the campaign that a window belongs to."""

from include.sql.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""The tables of requirement 5, and what the log covers."""

from include.sql.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""Remembers up to which day a source's windows were found whole, so that a run need not look at all of them again."""

from include.sql.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

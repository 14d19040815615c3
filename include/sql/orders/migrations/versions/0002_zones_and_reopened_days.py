"""A store has a zone, days that were pulled whole are known, and days of moved orders are pulled again."""

from include.sql.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

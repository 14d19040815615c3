"""Most steps of a window change its row in place, so that table and indexes stay small."""

from include.sql.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

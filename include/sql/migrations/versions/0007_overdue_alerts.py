"""What people were told to be overdue, and an index of unfinished windows."""

from include.sql.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""What a window was read from, and what its load may take away."""

from include.sql.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""A COMPLETED row has passed its audit, also where it knows nothing of one."""

from include.sql.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""Comments of tables and columns in whole sentences."""

from include.sql.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

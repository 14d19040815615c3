"""Which version of the time zone rules a row was planned with."""

from include.sql.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

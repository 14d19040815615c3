"""Which ledger this is: a failover, a restore and a copy are another one until somebody says otherwise."""

from include.sql.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

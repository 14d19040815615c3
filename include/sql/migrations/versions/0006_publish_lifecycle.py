"""Which transaction last changed a row, and how far each mirror of the ledger has come."""

from include.sql.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

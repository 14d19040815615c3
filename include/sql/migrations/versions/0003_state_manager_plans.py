"""Plans of the state manager: `state_manager_plans`."""

from include.sql.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

"""Adopting an older state table: `pipeline_lifecycle_import`, and the view that its rows are judged through."""

from include.sql.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_sql(__file__)

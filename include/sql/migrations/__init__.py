"""The ledger's schema, migration by migration: Alembic keeps the order, each step is one plain SQL file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_sql(migration_file: str) -> None:
    """Execute the SQL file that has the migration's own name; nothing in it is a parameter."""
    from alembic import op

    # Past SQLAlchemy: it passes empty parameters, and with parameters psycopg reads every % as a placeholder and
    # refuses several statements at once. Same connection, same transaction.
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.execute(Path(migration_file).with_suffix(".sql").read_text(encoding="utf-8"))


def migrate(connect: Callable[[], Any]) -> str:
    """Bring the ledger's database to the newest version; returns that version. Safe to run at any time, by several.

    Args:
        connect: Opens a psycopg 3 connection to it.

    Raises:
        ServiceUnavailableError: The database does not answer.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError

    from include.pipeline_framework.errors import ServiceUnavailableError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    engine = create_engine("postgresql+psycopg://", creator=connect)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(hashtextextended('pipeline_lifecycle migrations', 0))"))
            connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except OperationalError as error:
        raise ServiceUnavailableError(
            "the ledger's database does not answer",
            remedy="Start it, or correct the lifecycle_postgres connection (LEDGER_URL).",
        ) from error
    finally:
        engine.dispose()
    return str(ScriptDirectory.from_config(config).get_current_head())

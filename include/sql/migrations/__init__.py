"""Migrations of the schemas: Alembic keeps the order, each step is one plain SQL file.

The ledger's migrations are here, the orders sync's in `include/sql/orders/migrations`, each with a version table of its
own, so that both may live in one database.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

LEDGER = Path(__file__).parent
ORDERS = LEDGER.parent / "orders" / "migrations"


_ONE_AT_A_TIME = """
SELECT pg_advisory_xact_lock(hashtextextended(:what, 0)), set_config('idle_in_transaction_session_timeout', '0', TRUE)
"""
"""A lock until its own transaction ends, which waits for as long as the migrations take.

Through a pooler a lock of the session would belong to another client.
"""


def run_sql(migration_file: str) -> None:
    """Execute the SQL file that has the migration's own name; it has no parameters."""
    from alembic import op

    # Past SQLAlchemy: it passes empty parameters, and with parameters psycopg reads every % as a placeholder and
    # refuses several statements at once. Same connection, same transaction.
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.execute(Path(migration_file).with_suffix(".sql").read_text(encoding="utf-8"))


def newest(scripts: Path = LEDGER) -> str:
    """Return the version to which this build migrates."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory(str(scripts)).get_current_head())


def migrate(connect: Callable[[], Any], scripts: Path = LEDGER) -> str:
    """Bring a database to the newest version, and return that version; safe at any time, also for several at once.

    Args:
        connect: Opens a psycopg 3 connection to it.
        scripts: `LEDGER` or `ORDERS`.

    Raises:
        ServiceUnavailableError: The database does not answer.
        ConfigurationError: It has tables that the migration can't adopt; nothing was changed.
    """
    import psycopg
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError, OperationalError

    from include.pipeline_framework.errors import ConfigurationError, ServiceUnavailableError

    config = Config()
    config.set_main_option("script_location", str(scripts))
    engine = create_engine("postgresql+psycopg://", creator=connect)
    name, connection_id = (
        ("the ledger", "lifecycle_postgres connection (LEDGER_URL)")
        if scripts == LEDGER
        else ("the orders sync", "orders_postgres connection (ORDERS_URL)")
    )
    try:
        with engine.begin() as holder, engine.connect() as connection:
            holder.execute(text(_ONE_AT_A_TIME), {"what": _lock(scripts)})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except (OperationalError, psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise ServiceUnavailableError(
            f"the database of {name} does not answer, or takes no writes",
            remedy=f"Start it, or correct the {connection_id}.",
        ) from error
    except psycopg.errors.RaiseException as error:
        raise ConfigurationError(
            error.diag.message_primary or str(error),
            where=f"the database of {name}",
            meaning="It could not be migrated",
            remedy=error.diag.message_hint or "",
        ) from error
    except (DBAPIError, psycopg.Error) as error:
        cause: Any = getattr(error, "orig", error)
        raise ConfigurationError(
            f"the database refuses a migration: {cause.diag.message_primary or cause} (sqlstate {cause.sqlstate})",
            where=f"the database of {name}",
            meaning="That migration was rolled back; those before it are done",
            remedy="Run it as the role that owns the tables, which may create objects in their schema.",
        ) from error
    finally:
        engine.dispose()
    return newest(scripts)


def _lock(scripts: Path) -> str:
    """Return the lock of one schema's migrations; with another name, an older release could migrate meanwhile."""
    return "pipeline_lifecycle migrations" if scripts == LEDGER else "orders_sync migrations"

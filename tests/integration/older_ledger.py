"""A ledger of an older version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from include.sql.migrations import LEDGER


def migrate_to(connect: Callable[[], Any], version: str) -> None:
    """As `migrate`, to an older version."""
    config = Config()
    config.set_main_option("script_location", str(LEDGER))
    engine = create_engine("postgresql+psycopg://", creator=connect)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    engine.dispose()

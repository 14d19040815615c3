"""Runs a person's query on the ledger, or on a pipeline's target."""

from __future__ import annotations

from include.implementation_modules.postgres_ledger.errors import translated
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.watching.queries import Answer, one_query
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.ports.queries import Queryable
from include.wiring import assembly, connections


def query_ledger(text: str, limit: int) -> Answer:
    """Run one query on the ledger's database, in a transaction that can't write.

    Raises:
        InvalidInputError: It is not one statement that reads.
        PipelineError: The database refused it, or did not answer.
    """
    statement = one_query(text)
    with translated(lasting="Nothing was read"):
        connection = connections.ledger_connect()()
        try:
            connection.read_only = True
            cursor = connection.cursor()
            cursor.execute(statement.encode(), prepare=True)  # a prepared statement is only one
            rows = cursor.fetchmany(limit + 1) if cursor.description else []
            return Answer.of([column.name for column in cursor.description or ()], rows, limit)
        finally:
            connection.close()


def query_target(config: PipelineConfig, text: str, limit: int) -> Answer:
    """Run one query on a pipeline's target.

    Raises:
        InvalidInputError: It is not one statement that reads.
        ConfigurationError: The target answers no queries.
        PipelineError: The target refused it, or did not answer.
    """
    statement, target = one_query(text), assembly.target(config)
    if not isinstance(target, Queryable):
        raise ConfigurationError(
            f"targets of type {config.target.type} answer no queries here",
            where=config.pipeline_id,
            remedy="Use the system's own client, or give the adapter `query`, see include/pipeline_framework/ports.",
        )
    return target.query(statement, limit)

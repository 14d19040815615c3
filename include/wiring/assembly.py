"""Creates working ports from a pipeline's configuration and connections, when a task runs and never at parse time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from include.implementation_modules.registry import adapter_class, create_adapter, create_mirror, options_model
from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.loader import (
    LoadedPipelines,
    load_all_pipelines,
    load_pipeline,
    resolve_variables,
)
from include.pipeline_framework.config.models import AdapterSection, PipelineConfig
from include.wiring import connections

if TYPE_CHECKING:
    from include.pipeline_framework.ports.ledger import LifecycleStore
    from include.pipeline_framework.ports.mirror import LifecycleFeed, LifecycleMirror
    from include.pipeline_framework.ports.overdue import OverdueAlarms
    from include.pipeline_framework.ports.target import Target
    from include.pipeline_framework.tasks.pipeline import Pipeline

_log = logging.getLogger(__name__)


def parsed_config(pipeline_id: str) -> PipelineConfig:
    """Return the configuration as written; no variable or connection is read.

    Raises:
        ConfigurationError: The pipeline has problems, or another one has the same id or `source_object`.
    """
    return load_pipeline(pipeline_id, options_model=options_model)


def shape_config(pipeline_id: str) -> PipelineConfig:
    """Return the configuration as written, for building a DAG and nothing else.

    Whether another file has the same id or `source_object` is not looked at: with a thousand files that would be a
    million reads for one round of parsing. The first task of a run asks `parsed_config`, as the planner and the
    commands do, before anything is planned or claimed.

    Raises:
        ConfigurationError: Becomes the import error of that pipeline's DAG file alone.
    """
    return load_pipeline(pipeline_id, options_model=options_model, is_alone=True)


def runtime_config(pipeline_id: str) -> PipelineConfig:
    """Return the configuration with its placeholders replaced by Airflow Variables."""
    return resolve_variables(parsed_config(pipeline_id), airflow_variable, options_model=options_model)


def all_configs() -> LoadedPipelines:
    """Return every pipeline as written, and the errors of those whose file is broken."""
    return load_all_pipelines(options_model=options_model)


def lifecycle_store() -> LifecycleStore:
    """Return the ledger."""
    from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore

    return PostgresLifecycleStore(connections.ledger_connect())


def lifecycle_feed() -> LifecycleFeed:
    """Return the ledger's changed rows, for its mirrors."""
    from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges

    return PostgresChanges(connections.ledger_connect())


def adoption() -> Any:
    """Return the access to the ledger's database for adopting an older state table."""
    from include.implementation_modules.postgres_ledger.adoption import PostgresAdoption

    return PostgresAdoption(connections.ledger_connect())


def overdue_alarms() -> OverdueAlarms:
    """Return the access to the ledger's overdue windows."""
    from include.implementation_modules.postgres_ledger.overdue import PostgresOverdueAlarms

    return PostgresOverdueAlarms(connections.ledger_connect())


def pipeline(pipeline_id: str) -> Pipeline:
    """Return a pipeline wired to its ledger, source, stage and target.

    Raises:
        ConfigurationError: Another system moves its data.
    """
    config = runtime_config(pipeline_id)
    require_moved_here(config)
    return wire(config)


def wire(config: PipelineConfig) -> Pipeline:
    """Return the same for a configuration whose placeholders are replaced."""
    from include.wiring.lazy_pipeline import WiredPipeline

    return WiredPipeline(config, lifecycle_store(), adapter)


def target(config: PipelineConfig) -> Target:
    """Return a pipeline's target alone."""
    resolved = resolve_variables(config, airflow_variable, options_model=options_model)
    found: Target = adapter("target", resolved.target)
    return found


def prepare_target(config: PipelineConfig) -> None:
    """Create what a pipeline's target lacks; see `Target.prepare`."""
    target(config).prepare(config.source_object)


def airflow_variable(name: str) -> str | None:
    """Return the text of an Airflow Variable, None if it is not set."""
    from airflow.sdk import Variable

    value: str | None = Variable.get(name, default=None)
    return value


def adapter(role: str, section: AdapterSection) -> Any:
    """Return the adapter of one section, around a ready client."""
    return create_adapter(role, section.type, client(role, section), section.options)


def mirror(target: AdapterSection) -> LifecycleMirror:
    """Return the mirror of the ledger beside the tables of a target."""
    found: LifecycleMirror = create_mirror(target.type, client("target", target), target.options)
    return found


def client(role: str, section: AdapterSection) -> Any:
    """Return what the adapter of one section gets injected."""
    connect = getattr(adapter_class(role, section.type), "connect", None)
    return connections.client(section.connection_id, writes=role == "target", connect=connect)


def describe_ledger() -> list[dict[str, Any]]:
    """Return every column of the ledger's tables, with the comments in the database."""
    from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore

    return PostgresLifecycleStore(connections.ledger_connect()).describe()


def migrate_ledger() -> str:
    """Bring the ledger's tables up to date; return their version."""
    from include.sql.migrations import migrate

    return migrate(connections.ledger_connect())

"""Settings of the orders sync, from `include/orders_sync/config.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.orders_sync.core.dates import problem_of_zone
from include.orders_sync.core.pipelines import TD, UC
from include.orders_sync.core.reports import REPORTS
from include.pipeline_framework.config.problems import Problem, configuration_error, problems_of
from include.pipeline_framework.config.yaml_file import read_yaml

CONFIG_FILE = Path(__file__).with_name("config.yaml")


def _known_timezone(name: str) -> str:
    if problem := problem_of_zone(name):
        raise ValueError(problem)
    return name


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReportSettings(_Model):
    """The path and the format of a report."""

    path: str = Field(min_length=1)
    format: Literal["json", "csv", "xlsx"]


class HttpSettings(_Model):
    """Time-outs and retries of the CRM client."""

    page_size: int = Field(default=1000, ge=1, le=10_000)
    timeout_seconds: float = Field(default=30, gt=0)
    max_tries: int = Field(default=6, ge=1)
    longest_wait_seconds: float = Field(default=60, ge=0)


class Connections(_Model):
    """Airflow connection ids."""

    orders: str = "orders_postgres"
    td_orders_sync: str = "crm_td"
    uc_orders_sync: str = "crm_uc"


class OrdersConfig(_Model):
    """The whole file.

    Attributes:
        pipeline_timezone: IANA name; "today" and every date are local there, never the server's or the database's,
            except of stores that have a `store_timezone`.
        run_env: `run_env` of log and summary rows, at most 32 characters.
        schedule: Cron of the profiler, in `pipeline_timezone`.
        window_days: The most days of a window.
        overlap_days: Number of last successful days that are pulled again.
        max_workers: Stores synced at once, unless a run sets another number.
        workers_limit: The greatest number that a run may set; Airflow starts no more of a run's instances at once
            (files of earlier versions say `most_workers`).
        moved_days: Days before and after a window of which rows vanished that are pulled again, for an order may have
            been dated back into days that were covered; 0: none.
        default_days: Days that TD and UC pull when no dates are given, today included.
        store_lock_wait_seconds: Longest wait for a store that another run holds.
        run_timeout_hours: A running summary row that is older belongs to a run that died.
        connections: Airflow connection ids.
        reports: Of every pipeline, by name.
        http: Time-outs and retries of the CRM client.
    """

    pipeline_timezone: Annotated[str, AfterValidator(_known_timezone)]
    run_env: str = Field(default="dev", min_length=1, max_length=32)
    schedule: str = "15 */3 * * *"
    window_days: int = Field(default=90, ge=1)
    overlap_days: int = Field(default=1, ge=0)
    max_workers: int = Field(default=3, ge=1)
    workers_limit: int = Field(default=16, ge=1, validation_alias=AliasChoices("workers_limit", "most_workers"))
    moved_days: int = Field(default=90, ge=0, le=36_500)
    default_days: int = Field(default=90, ge=1)
    store_lock_wait_seconds: float = Field(default=45, ge=0)
    run_timeout_hours: float = Field(default=12, gt=0)
    connections: Connections = Connections()
    reports: dict[str, dict[str, ReportSettings]]
    http: HttpSettings = HttpSettings()

    @model_validator(mode="after")
    def _every_report_has_a_place(self) -> OrdersConfig:
        for pipeline in (TD, UC):
            names = {schema.name for schema in REPORTS[pipeline]}
            if set(self.reports.get(pipeline, {})) != names:
                raise ValueError(f"reports of {pipeline} have to be exactly {', '.join(sorted(names))}")
        return self


@cache
def load_config(path: Path = CONFIG_FILE) -> OrdersConfig:
    """Read and check the file.

    Raises:
        ConfigurationError: Names every problem with file, line and path.
    """
    read = read_yaml(path)
    if read.problems:
        raise configuration_error(read.problems, where=str(path))
    try:
        return OrdersConfig.model_validate(read.data)
    except ValidationError as error:
        problems = [
            Problem(str(path), key, read.lines.get(key), value=value, message=message)
            for key, value, message in problems_of(error, OrdersConfig, read.data)
        ]
        raise configuration_error(problems, where=str(path)) from error

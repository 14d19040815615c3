"""An Airflow DAG of the tests: its tasks fail with the framework's errors, and everything else is the product's.

Only `retry_delay` is shorter, so that three tries fit into a test.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include.orchestration.defaults import START_DATE, default_args
from include.pipeline_framework.errors import ConfigurationError, ServiceUnavailableError
from tests.unit.tasks.world import config

PIPELINE = config(
    email_list=["ops@example.org", "data@example.org"], email_on_failure=True, email_on_retry=True, max_retry_task=2
)


@dag(
    schedule=None,
    start_date=START_DATE,
    catchup=False,
    default_args={**default_args(PIPELINE), "retry_delay": timedelta(seconds=2)},
)
def retried_in_tests() -> None:
    """A terminal error, and one that never passes."""

    @task(map_index_template="{{ task.op_kwargs['rec']['local'] }}")
    def refused(rec: dict[str, Any]) -> None:
        try:
            raise OSError(f"access denied for {os.environ['SECRET_OF_THE_TEST']}")
        except OSError as error:
            raise ConfigurationError(
                "The bucket 'a<b>&c' is not there",
                where=f"orders, window {rec['local']}",
                meaning="Trying again gives the same answer",
                remedy="Create the bucket, or correct bucket in the pipeline's stage.",
            ) from error

    @task
    def unavailable() -> None:
        raise ServiceUnavailableError("Elasticsearch did not answer", where="orders", remedy="Airflow retries.")

    refused.expand(rec=[{"local": "2013-03-09 05:00 → 06:00"}])
    unavailable()


dag = retried_in_tests()

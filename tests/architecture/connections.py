"""The connection ids that pipelines and code name."""

from __future__ import annotations

import re

from include.orders_sync.config import load_config
from include.wiring.connections import AIRFLOW_CONNECTION_ID, LEDGER_CONNECTION_ID
from tests.architecture.repository import files


def connection_ids() -> set[str]:
    """Of every pipeline, of ledger, Airflow's API and orders sync, and the SMTP notifier's default."""
    pipelines = [path.read_text(encoding="utf-8") for path in files(".yaml", under="include/pipelines")]
    named = re.findall(r"^\s*connection_id: *['\"]?([\w.-]+)", "\n".join(pipelines), re.MULTILINE)
    own = {LEDGER_CONNECTION_ID, AIRFLOW_CONNECTION_ID, "smtp_default"}
    return {*named, *own, *load_config().connections.model_dump().values()}

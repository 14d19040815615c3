"""Decides from `orders_sync_log` which dates of every store to pull, and pulls them, stores in parallel.

**Purpose.** Each store's orders, sales and GST from its start date until today: what is missing, the last successful
days again for what arrived late, and today. Nothing is steered by hand; the log says what is missing.

**Schedule and window.** The cron schedule of `include/orders_sync/config.yaml`, in `pipeline_timezone`. A run's day
is the local date when it starts; windows have at most `window_days` days.

**Reads / writes.** Reads `store_master`, `orders_sync_log` and the CRMs (`crm_td`, `crm_uc`); writes
`orders_sync_log`, `pipeline_run_summaries`, `td_orders`, `td_sales`, `uc_gst` (`orders_postgres`).

**Parameters.** `env`, `sync_group`, `window_days`, `overlap_days`, `max_workers`, `force`, `store_code` as for
`scripts/orders_sync_run_profiler.sh`; empty: the configured value. `dry_run` prints the plan.

**The grid.** One mapped instance per store that has windows. Red: a window failed or is partial; that store and
pipeline stop for this run, the others go on. Skipped: another run holds the store; its log names it. At most
`max_workers` work at once, the others wait as up for reschedule.

**When it fails.** Whenever the run's `overall_status` is not success; `summary_text` says why.

**Re-run.** Clear a store's instance: what this run has pulled already is left alone. Clear the whole run: it decides
anew.
"""

from airflow.sdk import Param

from include.orchestration.orders_dag import orders_dag
from include.wiring import orders_assembly

config = orders_assembly.config()
most = config.workers_limit

params = {
    "sync_group": Param("ALL", type="string", enum=["TD", "UC", "ALL"], description="Which pipelines."),
    "window_days": Param(config.window_days, type="integer", minimum=1, description="Days of a window at most."),
    "overlap_days": Param(config.overlap_days, type="integer", minimum=0, description="Last days pulled again."),
    "max_workers": Param(config.max_workers, type="integer", minimum=1, maximum=most, description="Stores at once."),
    "force": Param(False, type="boolean", description="Everything from each store's start date."),
}

dag = orders_dag("orders_sync_run_profiler", config, __doc__, params, is_scheduled=True, runs_at_once=2)

"""Pulls the TD CRM's orders and sales of given dates, stores in parallel.

**Purpose.** Dates on demand: a correction, a store's first days, only one of the two reports.

**Schedule and window.** None: `orders_sync_run_profiler` is the scheduled one. One window from `from_date` to
`to_date`, both inclusive, local in `pipeline_timezone`; by default the configured number of days that end today.

**Reads / writes.** Reads `store_master` and the CRM (`crm_td`); writes `orders_sync_log`, `pipeline_run_summaries`,
`td_orders`, `td_sales` (`orders_postgres`).

**Parameters.** `from_date`, `to_date`, `store_code` (default: every active store that has the pipeline),
`orders_only`, `sales_only` (a window with one report ends partial and counts as not covered), `env`, `dry_run`
(prints the windows).

**When it fails.** A store's window failed or is partial without having been asked to be; the others go on. A store
that another run holds is skipped, its holder named.

**Re-run.** Clear a store's instance, or the run: its log row is updated, rows that are the same are not touched.
"""

from airflow.sdk import Param

from include.orchestration.orders_dag import date_params, orders_dag
from include.wiring import orders_assembly

params = {
    **date_params(),
    "orders_only": Param(False, type="boolean", description="Without sales; ends partial, covers nothing."),
    "sales_only": Param(False, type="boolean", description="Without orders; ends partial, covers nothing."),
}

dag = orders_dag("td_orders_sync", orders_assembly.config(), __doc__, params)

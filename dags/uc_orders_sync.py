"""Pulls the UC CRM's GST report of given dates, stores in parallel.

**Purpose.** Dates on demand: a correction, a store's first days.

**Schedule and window.** None: `orders_sync_run_profiler` is the scheduled one. One window from `from_date` to
`to_date`, both inclusive, local in `pipeline_timezone`; by default the configured number of days that end today.

**Reads / writes.** Reads `store_master` and the CRM (`crm_uc`); writes `orders_sync_log`, `pipeline_run_summaries`,
`uc_gst` (`orders_postgres`).

**Parameters.** `from_date`, `to_date`, `store_code` (default: every active store that has the pipeline), `env`,
`dry_run` (prints the windows).

**When it fails.** A store's window failed; the others go on. A store that another run holds is skipped, its holder
named.

**Re-run.** Clear a store's instance, or the run: its log row is updated, rows that are the same are not touched.
"""

# Airflow reads a file whose text has its name and the word dag.
from include.orchestration.orders_dag import date_params, orders_dag
from include.wiring import orders_assembly

dag = orders_dag("uc_orders_sync", orders_assembly.config(), __doc__, date_params())

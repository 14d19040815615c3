"""The stores of the simulated CRM, and what its data is like.

Stores: the n-th one is a pure function of --seed, --today and n. 2 in 5 have both pipelines (ALL), 2 in 5 TD alone,
1 in 5 UC alone; 1 in 24 is inactive; they opened on dates spread over the two years before --today. Every seventh one
writes instants in UTC (Z), the others of TD with +05:30; UC's have no offset and are local in Asia/Kolkata.

Orders: a pure function of seed, store, date and the CRM's clock. 6 to 25 orders a day and store at --volume 1, by
weekday (Monday 0.8, Saturday 1.35), month (July 0.75, October 1.15) and up to 2.2 times as many before Diwali. 2 %
become visible 2 hours to 2 days late, 3 % are corrected within 4 days, 0.3 % vanish after 1 to 3 days, 4 % lie within
half an hour of midnight, 3 % are cancelled; 8 % of the sales have two payments, some on a later date than the order.

Reports: GET /td/reports/orders (xlsx), /td/reports/sales (csv), /uc/reports/gst (json), each in any format by ?format=,
with store_code, from_date, to_date, page, page_size and, from page 2, snapshot. A token by POST /td/oauth/token.

Control, with `Authorization: Bearer $CRM_CONTROL_TOKEN`:
POST /control/clock {"now": "2026-03-15T12:00:00+05:30"}, or null for the real time
POST /control/data {"stores": 200, "volume": 2, "seed": 7, "today": "2026-03-15"}
POST /control/faults [kinds, or {"kind", "on", "report", "store_code", "page", "times", "retry_after", "at"}], or
    {"rate": 0.1, "seed": 7, "kinds": […]}
GET /control/log?since=0, /control/stores, /control/truth?report=&store_code=&from_date=&to_date=
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import date, datetime

from rich.console import Console
from rich.table import Table

from local_stack.crm.faults import RECOVERABLE, TERMINAL
from local_stack.crm.reports import INDIA
from local_stack.crm.stores import DEFAULT_SEED, DEFAULT_STORES, store


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of stores."""
    parser = argparse.ArgumentParser(
        prog="python -m local_stack.crm",
        description=__doc__,
        epilog=f"Faults that a client can recover from: {', '.join(RECOVERABLE)}. Others: {', '.join(TERMINAL)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stores", type=int, default=DEFAULT_STORES, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another one gives other data (%(default)s)")
    parser.add_argument("--volume", type=float, default=1.0, help="times as many orders (%(default)s)")
    parser.add_argument("--today", type=date.fromisoformat, help="YYYY-MM-DD; default: the date in India")
    options = parser.parse_args(arguments)
    today = options.today or datetime.fromtimestamp(time.time(), INDIA).date()
    table = Table("Store", "Cost centre", "Group", "Start", "Active", "Orders a day", "Instants", box=None)
    for number in range(1, options.stores + 1):
        shown = store(number, seed=options.seed, today=today)
        row = shown.row
        table.add_row(
            row.store_code,
            row.cost_center,
            row.sync_group,
            row.start_date.isoformat(),
            "yes" if row.is_active else "no",
            f"{shown.orders_a_day * options.volume:.0f}",
            "Z" if shown.writes_utc else "+05:30",
        )
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

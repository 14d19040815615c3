"""`ledger …`: its tables and rows, and what is done to a ledger as a whole; one file for each kind of command."""

from __future__ import annotations

import typer

from include.cli.ledger import adopt, rebuild, report, rows

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The ledger's tables and rows.")

app.command("migrate")(rows.migrate)
app.command("show", epilog="Examples: ledger show --source flights --status FAILED · ledger show 17")(rows.show)
app.command("report")(report.report)
app.command("rebuild")(rebuild.rebuild)
app.command("reconcile")(rebuild.reconcile)
app.command("adopt")(adopt.adopt)
app.command("adopt-failover")(rebuild.adopt_failover)
app.command("describe")(rows.describe)

"""The command line, `pipelines …` or `python -m include.cli …`: its commands, and their exit statuses.

A command's file is loaded when the command is called, so that help appears at once. Exit status: 0 done, 1 the answer
is "no" (problems found), 2 an error; `orders --help` names those of the orders sync.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from include.pipeline_framework.errors import PipelineError

PROGRAM = "python -m include.cli"
_WINDOWS, _FILES, _ORDERS = "Windows and their ledger", "Pipeline files", "Orders sync"


class _Known(NamedTuple):
    """A command before its file is loaded: its panel in the help, and its purpose."""

    panel: str
    help: str


COMMANDS = {
    "plan": _Known(_WINDOWS, "Plan all windows of a day for every source."),
    "preview": _Known(_WINDOWS, "Show what a pipeline would do with a day; nothing is written."),
    "run": _Known(_WINDOWS, "Load a day or a range now, and follow it to its end."),
    "status": _Known(_WINDOWS, "Show how complete every day of every pipeline is."),
    "doctor": _Known(_WINDOWS, "Look whether windows could move: every system, the ledger, Airflow, production."),
    "why": _Known(_WINDOWS, "Say why a window is in its state, or not there, and what happens next."),
    "sql": _Known(_WINDOWS, "Query the ledger, or a pipeline's target."),
    "ledger": _Known(_WINDOWS, "Show, migrate, rebuild and compare the ledger; report windows; adopt older tables."),
    "backfill": _Known(_WINDOWS, "List, pause, resume and cancel backfill campaigns."),
    "state": _Known(_WINDOWS, "Find gaps, overlaps, duplicates and drift."),
    "late": _Known(_WINDOWS, "Tell how late rows come, and which x_time_back follows from it."),
    "config": _Known(_FILES, "Check and describe pipeline files."),
    "new": _Known(_FILES, "Look at an index or a table, and write a pipeline that loads it."),
    "pipeline": _Known(_FILES, "Write a new pipeline's files: new, under its older name."),
    "orders": _Known(_ORDERS, "Pull what is due for every store; show what is missing."),
}
"""Purposes of the commands by name; the file `include/cli/<name>.py` has the command as `app`."""


class _Commands(TyperGroup):
    """All commands, each loaded when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """Return what the help shows of a command."""
        del ctx
        known = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=known.help, rich_help_panel=known.panel) if known else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command itself."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, get_command(import_module(f"include.cli.{name}").app), rest


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(
    epilog="Examples: plan --target-date 2013-11-03 --dry-run · why flights 2013-03-09T05:30 · "
    "ledger show --status FAILED · orders profiler --dry-run"
)
def pipelines(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what is done, with keys, status and seconds.")
    ] = False,
) -> None:
    """Every window planned, none lost, none loaded twice: the pipelines' command line."""
    from include.cli.logs import logging_to_stderr

    context.with_resource(logging_to_stderr(is_verbose=verbose))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status. Errors of the framework are printed without a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_orders = next((word for word in given if not word.startswith("-")), "") == "orders"
    try:
        status = get_command(app).main(given, prog_name=PROGRAM, standalone_mode=False)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _tell(error)
        return 1 if is_orders else 2  # 2 would mean that a run of the orders sync is partial
    return status if isinstance(status, int) else 0


def _tell(error: Any) -> None:
    """Print the usage of a command that was called wrongly, and the error."""
    message, context = error.format_message().replace("Value error, ", ""), getattr(error, "ctx", None)
    if message and context is not None:
        print(context.get_usage(), file=sys.stderr)
    if message:
        print(f"error: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

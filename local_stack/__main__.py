"""`python -m local_stack up|down|status|env|seed|seed-stores|weblogs|grow|demo`: the local stack's command line."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from local_stack import console
from local_stack.errors import LocalStackError
from local_stack.flights import ALL_DAYS, ZONE, Days
from local_stack.home import Home


@dataclass(frozen=True)
class Command:
    """One subcommand: its arguments and what it runs. Modules that are slow to import are imported when it runs."""

    name: str
    help: str
    run: Callable[[Home, argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def up(home: Home, arguments: argparse.Namespace) -> int:
    """Start what does not run yet."""
    from local_stack import airflow, demo, stack
    from local_stack.airflow_api import AirflowApi
    from local_stack.state import State

    began = time.monotonic()
    with console.spinner("Starting the local stack"):
        stack.up(home, with_airflow=arguments.airflow, report=console.line)
    console.line("stack", f"healthy after {time.monotonic() - began:.1f} s, data in {home.path}")
    if arguments.airflow:
        state, api = State.load(home), AirflowApi(home)
        unpaused = api.start_housekeeping()
        if demo.release_schedule(home, api):
            console.line(demo.DAG_ID, "a demo was interrupted; the DAG has its schedule again")
        console.line(
            "DAGs", f"{' and '.join(unpaused)} run by their schedule; the pipelines wait until you unpause them"
        )
        console.line("Airflow", f"{airflow.address(state)}   login admin, password {state.secrets['airflow_admin']}")
    console.line("next", 'eval "$(.venv/bin/python -m local_stack env)"')
    return 0


def down(home: Home, _arguments: argparse.Namespace) -> int:
    """Stop everything; the data stays."""
    from local_stack import stack

    with console.spinner("Stopping the local stack"):
        stopped = stack.down(home, report=console.line)
    console.line("stack", f"stopped; its data stays in {home.path}" if stopped else "nothing was running")
    return 0


def status(home: Home, _arguments: argparse.Namespace) -> int:
    """Show every server; exit code 0 only when all of them are healthy."""
    from local_stack import stack

    lines = stack.status(home)
    console.out.print(console.table(lines))
    return 0 if all(line.state == "healthy" for line in lines) else 1


def env(home: Home, _arguments: argparse.Namespace) -> int:
    """Print shell lines for `eval`."""
    from local_stack.environment import environment, shell_lines

    print(shell_lines(environment(home)))
    return 0


def seed(home: Home, arguments: argparse.Namespace) -> int:
    """Index the sample flights."""
    from local_stack.environment import environment
    from local_stack.seed import INDEX, seed

    began = time.monotonic()
    url = environment(home)["ELASTICSEARCH_URL"]
    with console.progress_bar(f"Indexing {INDEX}") as progress:
        seeded = seed(url, days=arguments.days, force=arguments.force, progress=progress)
        progress(seeded.count, seeded.count)
    what = f"indexed {seeded.indexed:,}" if seeded.indexed else "they were there already"
    took = f"{time.monotonic() - began:.1f} s"
    console.line(
        INDEX,
        f"{seeded.count:,} flights from {arguments.days.start} to {arguments.days.end} (exclusive): {what}, {took}",
    )
    return 0


def seed_stores(home: Home, _arguments: argparse.Namespace) -> int:
    """Put the simulated CRM's stores into store_master."""
    from local_stack.crm.control import CrmControl
    from local_stack.crm.stores import StoreRow
    from local_stack.environment import environment
    from local_stack.orders import seed_orders

    variables = environment(home)
    stores = CrmControl(variables["CRM_URL"], variables["CRM_CONTROL_TOKEN"]).stores()
    rows = [StoreRow(**{**store, "start_date": date.fromisoformat(store["start_date"])}) for store in stores]
    count = seed_orders(variables["ORDERS_URL"], rows)
    console.line("store_master", f"{count:,} stores of the CRM")
    return 0


def grow(home: Home, arguments: argparse.Namespace) -> int:
    """Let the flights of 2013 leave once more: index what has left since the pipeline's start_date, then go on."""
    from include.pipeline_framework.config.loader import load_pipeline
    from include.pipeline_framework.core.time.days import first_instant
    from local_stack.environment import environment
    from local_stack.replay import INDEX, PIPELINE, follow

    config, url = load_pipeline(PIPELINE), environment(home)["ELASTICSEARCH_URL"]
    first = f"enabled: true in include/pipelines/{PIPELINE}.yaml, then " if not config.enabled else ""
    console.line("next", f"{first}airflow dags unpause {config.dag_id}")
    for grown in follow(
        url,
        first_instant(config.start_date, config.timezone),
        now=lambda: datetime.fromtimestamp(time.time(), UTC),
        pause=lambda: time.sleep(arguments.every),
    ):
        when = " until ".join(f"{instant.astimezone(ZONE):%Y-%m-%d %H:%M:%S%z}" for instant in (grown.start, grown.end))
        console.line(INDEX, f"{grown.count:,} flights left from {when}, {grown.indexed:,} indexed now")
        if arguments.once:
            break
    return 0


def index_weblogs(home: Home, _arguments: argparse.Namespace) -> int:
    """Index 5,000 web logs of the last three days: the data of the guide docs/your-own-pipeline.md."""
    from local_stack import weblogs
    from local_stack.environment import environment

    now = datetime.fromtimestamp(time.time(), UTC)
    count = weblogs.index(environment(home)["ELASTICSEARCH_URL"], now)
    console.line(weblogs.INDEX, f"{count:,} web logs up to {now:%Y-%m-%d %H:%M} UTC")
    return 0


def run_demo(home: Home, _arguments: argparse.Namespace) -> int:
    """Plan, move and audit three days of flights with real DAG runs; exit code 0 only when all is accounted for."""
    from local_stack.demo import run

    return run(home)


def _airflow_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--airflow", action="store_true", help="start Airflow, too")


def _seed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="delete the index first")
    parser.add_argument(
        "--days",
        type=_days,
        default=ALL_DAYS,
        metavar="START:END",
        help="local days, end exclusive: 2013-03-09:2013-03-12",
    )


def _grow_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end when the index has grown until now")
    parser.add_argument(
        "--every", type=_seconds, default=60, metavar="SECONDS", help="how often it grows (default: every minute)"
    )


def _seconds(text: str) -> float:
    if not text.isdecimal() or not 0 < int(text) <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return int(text)


def _days(text: str) -> Days:
    try:
        return Days.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


COMMANDS = (
    Command("up", "start Postgres, Elasticsearch, S3, the Snowflake emulator and the CRM", up, _airflow_argument),
    Command("down", "stop everything; the data stays", down),
    Command("status", "show every server; exit code 0 when all are healthy", status),
    Command("env", "print `export` lines for eval", env),
    Command("demo", "move three days of flights with real DAG runs, and account for them", run_demo),
    Command("seed", "index all flights of 2013 into Elasticsearch", seed, _seed_arguments),
    Command("seed-stores", "put the CRM's stores into store_master", seed_stores),
    Command("weblogs", "index 5,000 web logs of the last three days, for a first pipeline", index_weblogs),
    Command("grow", "keep an index growing: flights of 2013 leave once more, today", grow, _grow_arguments),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m local_stack", description="The local stack: real servers, no Docker."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.run.__doc__)
        subparser.add_argument(
            "--home", type=Home.at, default=Home.default(), help="the stack's folder (LOCAL_STACK_HOME)"
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments.home, arguments))
    except LocalStackError as problem:
        console.error(problem)
        return 1
    except KeyboardInterrupt:
        console.err.print("Interrupted; `python -m local_stack status` shows what runs.")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())

"""Bad input from people, case by case: confs, pipeline files, names, the command line. `bad_data.py` has the rest.

A case says how it is done, which error it must end with, and words that the message must hold: what, where, what to do.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn
from unittest import mock

from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.wiring import connections
from tests.faults.bad_input_world import ORDERS, Exit, World


@contextmanager
def nothing(_world: World) -> Iterator[None]:
    """Nothing to arrange."""
    yield None


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        kind: Chapter of the table.
        shown: The input, as the page shows it.
        act: Gives it to the product; gets what `arrange` yields.
        error: What it must raise.
        says: Parts of the message.
        arrange: What has to be there before, gone after.
        is_attempt: It fails while a window is moved (`arrange` yields its row's id): that attempt, and only that, is in
            the ledger afterwards.
        is_staged: The extract itself was fine: its complete stage stays until the next one.
    """

    kind: str
    shown: str
    act: Callable[[World, Any], Any]
    error: type[Exception]
    says: tuple[str, ...]
    arrange: Callable[[World], AbstractContextManager[Any]] = nothing
    is_attempt: bool = False
    is_staged: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.shown}"


def short(value: Any) -> str:
    """An input as the page shows it."""
    text = str(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text):,} characters)"


def conf(value: dict[str, Any], *says: str, pipeline: str = "orders") -> Case:
    return Case(
        "conf",
        f"`{short(value)}`" + (" (Pacific/Apia)" if pipeline == "tides" else ""),
        lambda world, _: world.trigger(value, pipeline),
        InvalidInputError,
        (*says, "Nothing was planned", "What to do:"),
    )


HOUR = ["2024-05-01T05:00:00Z", "2024-05-01T06:00:00Z"]
DAY = {"target_date": "2024-05-02", "replace": True}

CONFS = [
    conf({"day": "2024-05-02"}, "unknown keys ['day']", "Allowed are target_date, from"),
    conf({1: "x", "b": 2}, "unknown keys ['1', 'b']", "orders"),
    conf({"target_date": "2024-05-02", "windows": [HOUR]}, "target_date and windows at once"),
    conf({"from": "2024-05-02"}, "from and to belong together", "Give both"),
    conf({"target_date": 20240502}, "target_date 20240502 is not a date", "YYYY-MM-DD"),
    conf({"target_date": "02.05.2024"}, "'02.05.2024' is not a date"),
    conf({"target_date": "2024-02-30"}, "'2024-02-30' is not a date"),
    conf({"target_date": "2023-12-31"}, "outside the pipeline's horizon", "before start_date 2024-05-01"),
    conf({"target_date": "2025-01-01"}, "outside the pipeline's horizon", "at or after end_date 2025-01-01"),
    conf({"target_date": "2011-12-30"}, "does not exist in Pacific/Apia", "skips that day", pipeline="tides"),
    conf({"target_date": "2131-01-01"}, "lies after tomorrow", '"allow_future": true', pipeline="tides"),
    conf({"from": "2024-05-02", "to": "2024-05-02T05:00:00Z", "allow_future": "yes"}, "'yes' is not a boolean"),
    conf({"allow_future": True}, "allow_future needs a range"),
    conf({"target_date": "9" * 1_000_000}, "(1,000,002 characters) is not a date"),
    conf({"target_date": "2024-05-02\0"}, "is not a date"),
    conf({"from": "2024-05-03", "to": "2024-05-02"}, "is not before to", "exclusive"),
    conf({"from": "2024-05-02T02:30:00", "to": "2024-05-03"}, "neither a date nor an instant with a zone"),
    conf({"from": "2024-11-03T01:30:00", "to": "2024-11-04"}, "with its offset"),
    conf({"from": "2024-05-02", "to": "2025-06-01"}, "beyond the pipeline's end_date 2025-01-01"),
    conf({"from": "2011-01-01", "to": "2023-01-01"}, "is longer than 3660 days", "shorter ranges", pipeline="tides"),
    conf({"windows": [HOUR, HOUR]}, "overlap", "belongs to one window"),
    conf({"windows": [HOUR[::-1]]}, "does not end after it starts"),
    conf({"windows": [["2024-05-02T03:00:00Z", "2024-05-02T05:00:00Z"]]}, "crosses the end of 2024-05-01"),
    conf({"windows": []}, "is not a list of [start, end]", "at least one pair"),
    conf({"windows": [["2024-05-01T05:00:00", "2024-05-01T06:00:00"]]}, "neither a date nor an instant"),
    conf({"windows": [["2024-05-01T05:30:00Z", "2024-05-01T06:30:00Z"]]}, "cuts the live window"),
    conf({"windows": [HOUR] * 2_000}, "2000 windows are too many"),
    conf({"max_windows": 0}, "max_windows 0 is not possible"),
    conf({"max_windows": "12"}, "max_windows '12' is not possible", "from 1 to 1024"),
    conf({"dry_run": "yes"}, "'yes' is not a boolean", "without quotes"),
    conf(DAY, "replace needs a reason", "kept in the ledger"),
    conf({"replace": True, "reason": "why"}, "replace needs a range"),
    conf({**DAY, "reason": "a\0b"}, "reason 'a\\x00b' can't be kept", "without NUL"),
    conf({**DAY, "reason": "\ud83d"}, "can't be kept", "half surrogates"),
    conf({**DAY, "reason": "x" * 500_000}, "(500,002 characters) can't be kept", "at most 1000"),
]


def fails(*_arguments: Any) -> NoReturn:
    """A pipeline's own function, with a bug."""
    raise ZeroDivisionError("a bug of the pipeline")


def gives_a_list(*_arguments: Any) -> list[str]:
    """A pipeline's own function that returns what no text column holds."""
    return ["a"]


def pipeline_file(
    shown: str, text: str | bytes, *says: str, error: type[Exception] = ConfigurationError, kind: str = "pipeline file"
) -> Case:
    return Case(kind, shown, lambda world, _: world.load_yaml(text), error, says)


def changed(old: str, new: str, *says: str, kind: str = "pipeline file") -> Case:
    """The good file with one text in it replaced."""
    assert ORDERS.count(old), old
    return pipeline_file(
        f"`{'; '.join(new.split(chr(10))).strip('; ')}`", ORDERS.replace(old, new), "broken.yaml", *says, kind=kind
    )


def added(line: str, *says: str) -> Case:
    """The good file with one line more."""
    return pipeline_file(f"`{line}`", f"{ORDERS}{line}\n", *says)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)
FILES = [
    added("granularty: 1h", "granularty", "did you mean granularity?", "broken.yaml:15"),
    added("max_windows_per_run: many", "max_windows_per_run", "'many'", "valid integer"),
    added("source_object: orders", "duplicate key, first given in line 2"),
    added("config_hash: 0", "config_hash", "unknown key"),
    added("cron_schedule: every hour", "not a cron expression", "write it like"),
    added("email_on_failure: true", "email_list has no address"),
    added("password: hunter2", "looks like a secret", "Airflow connection"),
    added("check_fields: [TARGET_DY]", "check_fields", "is no field of a planned record", "did you mean target_day?"),
    added("derived: {key_x: '{source_object.__class__}'}", "derived.key_x", "not one of its fields"),
    added("derived: {key_x: {callable: 'no_such_module:f'}}", "can't be imported", "No module named 'no_such_module'"),
    added("derived: {key_x: {callable: 'tests.faults.bad_input:fails'}}", "derived.key_x", "raised ZeroDivisionError"),
    added("derived: {key_x: {callable: 'tests.faults.bad_input:gives_a_list'}}", "returned ['a']", "no text, number"),
    added("metadata: {priority: 1}", "give it at the top level"),
    changed("America/New_York", "America/New_Yrok", "timezone", "is not a time zone", "IANA"),
    changed("granularity: 1h", "granularity: 1 fortnight", "is not a duration", "Write it like 1h"),
    changed("granularity: 1h", "granularity: 2d", "at most 1d"),
    changed("x_time_back: 1h", "x_time_back: -1h", "x_time_back", "is not a duration"),
    changed("start_date: 2024-05-01", "start_date: 2024-02-30", "start_date", "a day of the calendar"),
    changed("end_date: 2025-01-01", "end_date: 2024-01-01", "must be after start_date"),
    changed("{type: integer,", "{type: int,", "target.columns.n.type", "it must be 'text', 'integer'"),
    changed("type: postgres,", "type: postgress,", "is no source; did you mean postgres?"),
    changed("table: orders_source", "table: '${NO_SUCH_VARIABLE}'", "not set: NO_SUCH_VARIABLE", "Set the Airflow"),
    pipeline_file("an empty file", "", "source_object: is missing", "target: is missing"),
    pipeline_file("a list", "- a\n- b\n", "a source must be a mapping of its own keys"),
    pipeline_file("binary", bytes(range(256)), "can't be read"),
    pipeline_file("not UTF-8", b"description: \xff\n", "can't be read"),
    pipeline_file("aliases of aliases of aliases (a bomb)", BOMB, "more than 20,000 values"),
    pipeline_file("200,000 open brackets", "a: " + "[" * 200_000, "nested more than 50 levels"),
    pipeline_file("`a: !!python/object/apply:os.system [id]`", "a: !!python/object/apply:os.system [id]\n", "syntax"),
    pipeline_file("two megabytes", "#" * 2_000_000, "more than 1,000,000 bytes"),
]
for number, case in enumerate(FILES):
    if "NO_SUCH_VARIABLE" in case.shown:  # it is found when a task runs, and names the pipeline
        FILES[number] = Case(case.kind, case.shown, case.act, case.error, ("pipeline broken", *case.says[1:]))


def named(old: str, new: str, *says: str) -> Case:
    return changed(old, new, *says, kind="identifier")


def reads(options: str, *says: str) -> Case:
    """Names that the source quotes: strange, harmless, and not there. The error comes from the real database."""
    old = "table: orders_source, time_column: at, id_column: id"
    text = ORDERS.replace(old, options)
    assert text != ORDERS

    def act(world: World, _: Any) -> None:
        world.load_yaml(text)

    def count(world: World, _: Any) -> None:
        (world.pipelines / "strange.yaml").write_text(
            text.replace("STAGE", str(world.stage)).replace("orders\n", "s\n")
        )
        try:
            world.wired("strange").source.count(world.window(world.ids[0]))
        finally:
            (world.pipelines / "strange.yaml").unlink()

    loads = "is not a name" in says
    return Case("identifier", f"`{options}`", act if loads else count, ConfigurationError, says)


DROP = "bystander; DROP TABLE bystander; --"
IDENTIFIERS = [
    named("table: orders\n", f"table: '{DROP}'\n", "target.table", "is not a name"),
    named("table: orders\n", "table: 'orders\" CASCADE'\n", "target.table", "is not a name"),
    named("table: orders\n", "table: 'ordérs'\n", "target.table", "letters, digits"),
    named("table: orders\n", f"table: {'o' * 100}\n", "target.table", "at most 48 long"),
    named("table: orders\n", f"table: orders\n  schema: '{DROP}'\n", "target.schema", "is not a name"),
    named("{n: {", "{'n\"); DROP TABLE bystander; --': {", "target.columns", "match pattern"),
    named("{n: {", "{_ID: {", "framework's own"),
    named("path: STAGE", "path: STAGE, prefix: ../../etc", "stage.prefix", "match pattern"),
    named("path: STAGE", "bucket: '../other', prefix: a", "stage.bucket"),
    named("source_object: orders", "source_object: ../../orders", "source_object", "match pattern"),
    named("source_object: orders", 'source_object: "or\'ders"', "source_object", "match pattern"),
    reads(f"table: '{DROP}', time_column: at, id_column: id", "is not a name"),
    reads("table: orders_source, time_column: 'at\" IS NULL OR \"at', id_column: id", "42703", "Check login"),
    reads("table: orders_source, time_column: at, id_column: 'id) FROM x; --'", "42703", "does not exist"),
    reads("table: orders_source, time_column: 'ａt', id_column: id", "42703", "does not exist"),
    reads('table: orders_source, time_column: "a\\0t", id_column: id', "source.time_column", "NUL"),
]


def command(arguments: list[str], *says: str, env: dict[str, str] | None = None) -> Case:
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    shown = " ".join([*variables, shlex.join(arguments)]).replace("\0", "\\0")
    return Case("command line", f"`{shown}`", lambda world, _: world.cli(*arguments, env=env), Exit, ("exit 2", *says))


COMMANDS = [
    command(["plan", "--target-date", "2024-02-30"], "error: --target-date '2024-02-30' is not a date", "What to do:"),
    command(["plan", "--target-date"], "requires an argument"),
    command(["plan", "--pipeline", "mian"], "there is no pipeline 'mian'; did you mean main?"),
    command(["plan", "--pipeline", ""], "there is no pipeline ''"),
    command(["ledger", "show", "4711"], "there is no ledger row 4711", "List the rows"),
    command(["ledger", "show", "9" * 30], "there is no ledger row 9999"),
    command(["ledger", "show", "one"], "'ID': Input should be a valid integer"),
    command(["ledger", "show", "1", "--source", "orders"], "an id and a filter at once"),
    command(["ledger", "show", "--status", "DONE"], "'DONE' is not one of 'PENDING'"),
    command(["ledger", "show", "--source", "a\0b"], "the ledger can't hold a value"),
    command(["config", "validate", "--directory", "no/such"], "there is no directory no/such"),
    command(["pipeline", "new", "Bad-Id"], "'Bad-Id' can't be a pipeline's id", "small letter"),
    command(["pipeline", "new", "main"], "main.yaml and", "exists", "Nothing was written"),
    command(["lodger", "show"], "No such command 'lodger'"),
    command(["ledger", "show"], "LEDGER_URL", "postgresql://", env={"LEDGER_URL": "nonsense"}),
    command(["ledger", "show"], "the ledger does not answer", env={"LEDGER_URL": "postgresql://127.0.0.1:1/x"}),
]


def connection(text: str | None, *says: str) -> Case:
    """AIRFLOW_CONN_WAREHOUSE of a pipeline that names it; the password that it holds is in no message."""

    def act(world: World, _: Any) -> None:
        variables = {} if text is None else {"AIRFLOW_CONN_WAREHOUSE": text}
        with mock.patch.dict(os.environ, variables):
            connections.client("warehouse")

    shown = "no variable, and none in the UI" if text is None else f"`{text}`"
    return Case("connection", shown, act, ConfigurationError, ("'warehouse'", *says))


UNREADABLE = "is there, but can't be read"
CONNECTIONS = [
    connection(None, "there is no Airflow connection", "AIRFLOW_CONN_WAREHOUSE"),
    connection('{"conn_type": "postgres", "password": "hunter2"', UNREADABLE, "line 1, column 48", "not shown"),
    connection("{'conn_type': 'postgres', 'password': 'hunter2'}", UNREADABLE, "no JSON", "line 1, column 2"),
    connection('{"conn_type": "postgres", "pasword": "hunter2"}', UNREADABLE, "a field that a connection has not"),
    connection('{"conn_type": "postgres", "port": "hunter2"}', UNREADABLE, "a port that is no number"),
    connection("postgres://me:hunter2@[db/ledger", UNREADABLE, "no URI", "percent-encoded"),
    connection("hunter2", "has type", "Use one of aws, elasticsearch, postgres, snowflake"),
    connection('{"conn_type": "mysql", "password": "hunter2"}', "has type 'mysql'", "Use one of"),
]

CASES = [*CONFS, *FILES, *IDENTIFIERS, *COMMANDS, *CONNECTIONS]

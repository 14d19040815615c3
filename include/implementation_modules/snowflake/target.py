"""Snowflake as a target: COPY from an external stage into a temporary table, then as in `sql_warehouse.target`.

`_event_at`, the receipts' windows and `timestamp` columns are TIMESTAMP_NTZ holding UTC: comparing, counting and
deleting them depends on no session parameter. TIMESTAMP_TZ would also compare correctly, but needs an offset in every
value; TIMESTAMP_LTZ depends on the session's TIMEZONE. Instants are bound as text and read with an explicit format,
because an implicit cast follows the session's TIMESTAMP_INPUT_FORMAT.

Names are folded to upper case and quoted, so `select dep_delay from flights` finds what the YAML calls `dep_delay`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.snowflake.connecting import connect
from include.implementation_modules.snowflake.errors import says_it_exists, translated_error
from include.implementation_modules.snowflake.places import use_schema
from include.implementation_modules.sql_warehouse import parameters
from include.implementation_modules.sql_warehouse.columns import Columns, Name, places, refused_value
from include.implementation_modules.sql_warehouse.dialect import Dialect, numbered
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.implementation_modules.sql_warehouse.target import SqlTarget
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    PipelineError,
    TerminalError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import ColumnSpec
from include.sql.text import SqlFragment, fill, listed, quoted, sql_text

FILES_PER_COPY = 1000
"""The most files that `FILES = (…)` accepts."""

SQL_TYPES = {
    "text": "TEXT",
    "integer": "NUMBER(37, 0)",  # fakesnow 0.12.1 stores NUMBER(38, 0) in 64 bits
    "number": "FLOAT",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP_NTZ(6)",
    "date": "DATE",
    "json": "VARIANT",
}
_STAGE_SCHEMES = {"s3": "s3", "s3gov": "s3gov", "s3china": "s3china", "gs": "gcs", "gcs": "gcs", "azure": "azure"}

_TEXT_TYPE = re.compile(r"VARCHAR\((\d+)\)")
_SQL_TYPE = re.compile(r"[A-Z_]+(\(\d+(,\d+)?\))?")
"""Matches a type as DESCRIBE TABLE spells it; any other text is never put into a statement."""


def _bound(value: Any) -> Any:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") if isinstance(value, datetime) else value


class SnowflakeTarget(SqlTarget):
    """Loads windows into one Snowflake table; see `Target`.

    Args:
        connect: Returns a new `snowflake.connector` connection (paramstyle pyformat, the default) with a role, a
            warehouse and, unless the options name them, a database and a schema.
        options: The pipeline's target settings.
    """

    connect = staticmethod(connect)
    DIALECT: ClassVar[Dialect] = Dialect(
        ("snowflake", "sql_target"),
        clock="SYSDATE()",
        instant="""TO_TIMESTAMP_NTZ({value}, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')""",
        hash_sum="SUM(_id_hash::NUMBER(19, 0))",  # fakesnow 0.12.1 sums bare columns as 64-bit floats
        bound=_bound,
    )
    locks_table = True  # until it commits; the 21st session that waits for the lock is refused

    class Options(BaseModel):
        """Settings of a Snowflake target."""

        model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

        database: Name | None = Field(default=None, description="Database; the connection's own when left out.")
        schema_name: Name | None = Field(
            default=None,
            alias="schema",
            description="Schema; the connection's own when left out (needed with a database).",
        )
        table: Name = Field(description="Table to load; it and `<TABLE>_RECEIPTS` are created when missing.")
        columns: Columns = Field(
            default=(),
            description="Typed columns: name to type, or to {type, path, format}; types: text, integer, number, "
            "boolean, timestamp, date, json. The whole document is in `doc`.",
        )
        stage_name: Name | None = Field(
            default=None,
            description="External stage whose URL is the root of the pipeline's stage; created when missing. Left out: "
            "`PIPELINE_STAGE_` and the first 8 hex digits of the URL's SHA-256, so that each root has its own.",
        )
        storage_integration: Name | None = Field(
            default=None, description="Storage integration for creating the external stage."
        )
        guard_wait_seconds: float = Field(
            default=60, gt=0, description="How long a publish waits for another one of the same table."
        )

    def __init__(self, connect: Callable[[], Any], options: Options) -> None:
        place = [part.upper() for part in (options.database, options.schema_name) if part]
        if options.database and not options.schema_name:
            raise ConfigurationError(
                "a Snowflake target names a database without a schema",
                where=options.table,
                remedy="Add `schema:`, or drop `database:`.",
            )
        table = options.table.upper()
        self._columns = options.columns
        self._paths = {
            f"path_{i}_{n}_{j}": key
            for i, column in enumerate(options.columns)
            for n, keys in enumerate(places(column.path))
            for j, key in enumerate(keys)
        }
        self._typed_columns = {column.name.upper(): SQL_TYPES[column.type] for column in options.columns}
        self._has_integration = options.storage_integration is not None
        self._place, self._stage_name = place, options.stage_name
        fragments = {
            "target": quoted(*place, table),
            "receipts": quoted(*place, f"{table}_RECEIPTS"),
            "place": quoted(*place) if place else SqlFragment(""),
            "integration": quoted((options.storage_integration or "none").upper()),
        }
        fragments |= _column_fragments(options.columns)
        self._name = table
        super().__init__(
            connect, table=".".join([*place, table]), fragments=fragments, guard_wait_seconds=options.guard_wait_seconds
        )

    def _session_fragments(self) -> dict[str, SqlFragment]:
        # Temporary tables are private anyway, but fakesnow 0.12.1 keeps their columns in one table for all sessions.
        suffix = uuid4().hex[:12].upper()
        return {part: quoted(f"{self._name}_{part.upper()}_{suffix}") for part in ("loading", "landed")}

    def _set_up(self, session: Session) -> None:
        # Without autocommit the COPY would open the transaction, and rolling back a lost lock would undo it.
        session.run("set_autocommit")
        session.run("set_lock_timeout", {"seconds": max(1, round(self._guard_wait_seconds))})
        use_schema(session, self._place)

    def _create_missing(self, session: Session) -> None:
        for name in self.TABLES:
            try:
                session.run(name)
            except TerminalError:
                self._create_again(session, name)

    def _columns_there(self, session: Session) -> set[str]:
        return {str(row[0]).lower() for row in session.run("describe_target")}

    @staticmethod
    def _create_again(session: Session, name: str) -> None:
        """Create it again: this shows whether another session was creating it, or the statement is refused."""
        try:
            session.run(name)
        except TerminalError as error:
            if not says_it_exists(error.__cause__):
                raise

    def _insert_guard(self, session: Session, source_object: str) -> None:
        # Snowflake enforces no unique key: without the lock on the anchor two sessions would both find no guard row.
        session.run("lock_anchor")
        super()._insert_guard(session, source_object)

    def _load(self, session: Session, manifests: Sequence[Manifest], stage: Stage) -> None:
        session.run("create_loading")
        keys = [file.key for manifest in manifests for file in manifest.files]
        for first in range(0, len(keys), FILES_PER_COPY):
            try:
                self._copy(session, keys[first : first + FILES_PER_COPY], stage)
            except TerminalError:
                for manifest in manifests:
                    stage.read_manifest(manifest.location)  # a missing or changed file is not an error of Snowflake
                raise
        self._create_typed(session, manifests)

    def _create_typed(self, session: Session, manifests: Sequence[Manifest]) -> None:
        """Create the rows to insert; without a time unit the lines are of version 1."""
        unit = manifests[0].time_unit
        date_part = SqlFragment("MILLISECOND" if unit == "ms" else "MICROSECOND")
        name = "lines" if unit else "lines_of_version_1"
        values: dict[str, Any] = {**self._paths, "divisor": 1_000 if unit == "ns" else 1}
        if len(manifests) == 1:
            values["lifecycle_id"], row = manifests[0].lifecycle_id, "%(lifecycle_id)s"
        else:
            cases = [numbered(session.text("is_of_window"), number) for number in range(len(manifests))]
            row = f"COALESCE({', '.join(cases)})"
            for number, manifest in enumerate(manifests):
                bound = parameters.of_window(manifest.source_object, manifest.window)
                bound["lifecycle_id"] = manifest.lifecycle_id
                values |= {f"{key}_{number}": value for key, value in bound.items()}
        fragments = {
            "lines": SqlFragment(session.text(name, {"date_part": date_part})),
            "lifecycle_id": SqlFragment(row),
        }
        session.execute(session.text("create_typed", fragments), values, doing="create_typed")

    def _require_no_refused(self, session: Session, manifest: Manifest, figures: Sequence[Any]) -> None:
        refused = sum(map(int, figures))
        if refused:
            document_id, index = session.run("find_refused", {"lifecycle_id": manifest.lifecycle_id})[0]
            where = self.where(manifest.source_object, manifest.window)
            raise refused_value(document_id, self._columns[int(index)], where, refused)

    def _copy(self, session: Session, keys: list[str], stage: Stage) -> None:
        external = self._external_stage(stage, keys[0], session.where)

        def run(name: str, parameters: dict[str, Any]) -> None:
            session.execute(session.text(name, {"stage": external}), parameters, doing=name)

        try:
            run("copy_files", {"files": keys})
        except MissingObjectError:
            url = _stage_root(stage, keys[0], session.where)
            refusal: PipelineError | None = None
            try:
                run("create_stage_with_integration" if self._has_integration else "create_stage", {"url": url})
            except TerminalError as error:
                refusal = error  # or another session was faster: the second COPY shows it
            try:
                run("copy_files", {"files": keys})
            except MissingObjectError as error:
                raise refusal or error from error

    def _external_stage(self, stage: Stage, key: str, where: str) -> SqlFragment:
        name = self._stage_name or f"PIPELINE_STAGE_{sha256(_stage_root(stage, key, where).encode()).hexdigest()[:8]}"
        return quoted(*self._place, name.upper())

    def _explained(self, session: Session, error: BadDocumentError) -> BadDocumentError:
        """Return the error with document and column, which Snowflake does not name if a column was altered."""
        values = [("_id", "_id", "TEXT")]
        values += [(column.name, f"value_{i}", SQL_TYPES[column.type]) for i, column in enumerate(self._columns)]
        there = {name: (is_now, null == "Y") for name, is_now, _kind, null, *_ in session.run("describe_target")}
        for column, value, meant in values:
            is_now, takes_null = there.get(column.upper(), (meant, True))
            misfit = SqlFragment(_misfit(value, is_now, takes_null))
            text = session.text("find_misfit", {"misfit": misfit})
            if found := session.execute(text, None, doing="find_misfit"):
                now = is_now if takes_null else f"{is_now} NOT NULL"
                return BadDocumentError(
                    f"document {found[0][0]!r} has a value that does not fit into column {column!r}: it is {now} by "
                    f"now, {meant} is meant",
                    where=error.where,
                    meaning="Somebody has altered the table, or made it again; nothing was changed in it",
                    remedy=f"Make the column {meant} again, or mend the document at its source; then clear the task.",
                )
        return error

    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        return translated_error(error, where)


def _column_fragments(columns: tuple[ColumnSpec, ...]) -> dict[str, SqlFragment]:
    """Return all fragments of the statements that depend on the typed columns; paths stay bound parameters."""
    texts, refusals = [], []
    for i, column in enumerate(columns):
        values = [
            "doc" + "".join(f"[%(path_{i}_{n}_{j})s]" for j in range(len(keys)))
            for n, keys in enumerate(places(column.path))
        ]
        if column.type == "json":  # a null of JSON becomes one of SQL
            values = [f"IFF({value}::TEXT IS NULL, NULL, {value})" for value in values]
            texts.append(f"{_first(values)} AS text_{i}")
            continue
        texts.append(f"{_first(f'{value}::TEXT' for value in values)} AS text_{i}")
        if column.type in ("timestamp", "date"):
            kinds = (f"IFF({value}::TEXT IS NULL, NULL, LEFT(TO_JSON({value}), 1))" for value in values)
            texts.append(f"{_first(kinds)} AS kind_{i}")
        if column.type != "text":
            refusals.append(f"WHEN text_{i} IS NOT NULL AND value_{i} IS NULL THEN {i}")
    names = [quoted(column.name.upper()) for column in columns]
    return {
        "texts": listed(texts),
        "casts": listed(f"text_{i}, {_cast(column, i)} AS value_{i}" for i, column in enumerate(columns)),
        "landed_columns": listed(f"value_{i}" for i in range(len(columns))),
        "columns": listed(names),
        "definitions": listed(f"{name} {SQL_TYPES[c.type]}" for name, c in zip(names, columns, strict=True)),
        "refused_column": SqlFragment(f"CASE {' '.join(refusals)} END" if refusals else "NULL::NUMBER(38, 0)"),
    }


def _first(values: Iterable[str]) -> str:
    """Return the first of some values that is not NULL."""
    found = list(values)
    return found[0] if len(found) == 1 else f"COALESCE({', '.join(found)})"


def _cast(column: ColumnSpec, index: int) -> str:
    text, kind = SqlFragment(f"text_{index}"), SqlFragment(f"kind_{index}")
    if column.type in ("text", "json"):
        return text
    count = sql_text(f"snowflake/count_{column.format or 'unmarked'}")
    fragments = {"text": text, "kind": kind, "count": SqlFragment(fill(count, {"text": text}))}
    timestamp = SqlFragment(fill(sql_text("snowflake/cast_timestamp"), fragments))
    if column.type == "timestamp":
        return timestamp
    return fill(sql_text(f"snowflake/cast_{column.type}"), {"text": text, "kind": kind, "timestamp": timestamp})


def _misfit(value: str, is_now: str, takes_null: bool) -> str:
    """Return the condition that a value does not fit into a column, whose type is spelled as in DESCRIBE TABLE."""
    misfits = [] if takes_null else [f"{value} IS NULL"]
    if length := _TEXT_TYPE.fullmatch(is_now):
        misfits.append(f"LENGTH({value}) > {length[1]}")
    elif _SQL_TYPE.fullmatch(is_now) and is_now != "VARIANT":
        misfits.append(f"({value} IS NOT NULL AND TRY_CAST({value}::TEXT AS {is_now}) IS NULL)")
    return " OR ".join(misfits) or "FALSE"


def _stage_root(stage: Stage, key: str, where: str) -> str:
    """Return the address that keys are relative to, as Snowflake spells it."""
    scheme, _, rest = stage.uri(key).partition("://")
    if scheme not in _STAGE_SCHEMES or not rest.endswith(key):
        raise ConfigurationError(
            f"Snowflake can't read a stage at {scheme}://",
            where=where,
            meaning="The external stage does not exist and can't be created from this address",
            remedy="Stage to S3, or create the external stage by hand at the stage's root and name it in `stage_name`.",
        )
    return f"{_STAGE_SCHEMES[scheme]}://{rest.removesuffix(key)}"

"""The ledger's mirror in a SQL database; Snowflake and Postgres add their dialect, their types and their errors.

Nothing shared is changed before one transaction replaces the changed rows: a reader sees the ledger of one moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, ClassVar

from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.pipeline_framework.core.watching.mirror import MirrorColumn
from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
)
from include.sql.text import SqlFragment, quoted

TABLE = "pipeline_lifecycle"
_OWN_COLUMN = "_mirrored_at"


class SqlMirror(ABC):
    """`LifecycleMirror` on a SQL database.

    Args:
        connect: Returns a new DB-API connection; the mirror closes it.
        place: Database and schema, as far as they are given; folded to the database's case.
        loading: Name of the landing table.
    """

    DIALECT: ClassVar[Dialect]

    def __init__(self, connect: Callable[[], Any], place: Sequence[str], loading: str) -> None:
        self._connect = connect
        self._place = place
        self._name = ".".join([*place, self._folded(TABLE)])
        self._mirror, self._loading = quoted(*place, self._folded(TABLE)), quoted(loading)

    # --- the parts of a dialect ---------------------------------------------------------------------------------------

    @abstractmethod
    def _set_up(self, session: Session) -> None:
        """Put a new connection into autocommit, and bound its waits for locks."""

    @abstractmethod
    def _land(self, session: Session, lines: Iterable[str]) -> None:
        """Load the lines into a session-private table."""

    @abstractmethod
    def _type(self, column: MirrorColumn) -> tuple[str, str]:
        """Return the warehouse's type of a column, and the expression that makes such a value of `{text}`."""

    @abstractmethod
    def _element(self, index: int) -> str:
        """Return the expression for the text of an array's element."""

    @abstractmethod
    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        """Return the framework's error for an error of the client library; None for any other error."""

    @staticmethod
    @abstractmethod
    def _folded(name: str) -> str:
        """Return a name in the case that the database gives to unquoted names."""

    @abstractmethod
    def _lock(self, session: Session) -> None:
        """Keep other writers out, as the transaction's first statement; do nothing where the delete locks the table."""

    # --- LifecycleMirror ----------------------------------------------------------------------------------------------

    def prepare(self, columns: Sequence[MirrorColumn]) -> bool:
        """See `LifecycleMirror.prepare`."""
        with self._session(columns) as session:
            there = self._columns(session)
            if there is None:
                session.run("create_mirror")
                return True
            if _OWN_COLUMN not in there:
                raise ConfigurationError(
                    f"{self._name} is there and is no mirror of the ledger",
                    where=session.where,
                    meaning="It may be the ledger itself, or somebody's own table; nothing was changed",
                    remedy="Let the pipelines name another schema, or rename that table.",
                )
            missing = [column for column in columns if column.name not in there]
        if missing:
            with self._session(missing) as session:
                session.run("add_columns")
        return False

    def replace(
        self,
        columns: Sequence[MirrorColumn],
        lines: Iterable[str],
        *,
        mirrored_at: datetime,
        all_of: Sequence[str] | None,
    ) -> int:
        """See `LifecycleMirror.replace`."""
        when = {"mirrored_at": mirrored_at}
        with self._session(columns) as session:
            self._land(session, lines)
            session.execute(self.DIALECT.begin, None, doing="begin", fetch=False)
            try:
                self._lock(session)
                self._require_newest(session, when)
                session.change("delete_changed", {})
                if all_of is not None:
                    session.change("delete_others", {"pipelines": list(all_of)})
                count = session.change("insert_rows", when)
                session.execute("COMMIT", None, doing="commit", fetch=False)
            except BaseException:  # also for a time-out of the task: no lock may remain
                with suppress(Exception):
                    session.execute("ROLLBACK", None, doing="rollback", fetch=False)
                raise
            return count

    @staticmethod
    def _require_newest(session: Session, when: Mapping[str, Any]) -> None:
        """Refuse a cycle that lost its lock in the ledger and continued late, because it would restore old rows."""
        newer = session.run("count_newer", when)[0][0]
        if newer:
            raise PublishConflictError(
                f"{newer} rows of the mirror are of a later moment than this cycle's",
                where=session.where,
                meaning="Another cycle has overtaken this one, or the ledger's clock was set back; nothing was changed",
                remedy="Nothing: the task is tried again. If it stays, drop the table: the next cycle makes it anew.",
            )

    # --- sessions -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _columns(session: Session) -> set[str] | None:
        """Return the names of the table's columns in lower case; None if there is no table."""
        try:
            session.run("show_columns")
        except MissingObjectError:
            return None
        return {column[0].lower() for column in session.cursor.description}

    @contextmanager
    def _session(self, columns: Sequence[MirrorColumn]) -> Iterator[Session]:
        where = f"mirror of the ledger in {self._name}"
        try:
            connection = self._connect()
        except Exception as error:
            translated = self._reworded(error, f"{where} (connect)")
            if translated is None:
                raise
            raise translated from error
        session = Session(connection, self.DIALECT, self._fragments(columns), self._reworded, where)
        try:
            self._set_up(session)
            yield session
        finally:
            session.close()

    def _fragments(self, columns: Sequence[MirrorColumn]) -> dict[str, SqlFragment]:
        names = [quoted(self._folded(column.name)) for column in columns]
        types = [self._type(column) for column in columns]
        values = [value.replace("{text}", self._element(index)) for index, (_, value) in enumerate(types)]
        definitions = [f"{name} {kind}" for name, (kind, _) in zip(names, types, strict=True)]
        ids = [value for column, value in zip(columns, values, strict=True) if column.name == "id"]
        return {
            "mirror": self._mirror,
            "loading": self._loading,
            "names": SqlFragment(", ".join(names)),
            "values": SqlFragment(", ".join(values)),
            "definitions": SqlFragment(", ".join(definitions)),
            "additions": SqlFragment(", ".join(f"ADD COLUMN {definition}" for definition in definitions)),
            "id": SqlFragment(ids[0] if ids else "NULL"),
        }

    def _reworded(self, error: Exception, where: str) -> PipelineError | None:
        """Reword the target's translation of an error, whose meaning differs for a mirror."""
        translated = self._translate(error, where)
        if translated is not None:
            translated.meaning = (
                "The mirror shows an earlier moment, or this one; nothing is lost, the ledger has it all"
            )
        if isinstance(translated, MissingObjectError):
            translated.remedy = f"Grant the role {TABLE} in that schema with the right to create, alter and write it."
        elif translated is not None and not isinstance(translated, ServiceUnavailableError | PublishConflictError):
            translated.remedy = (
                "Check the role's grants. A table whose types don't fit may be dropped: it is made anew."
            )
        return translated

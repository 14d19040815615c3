"""One DB-API connection that runs statement files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.pipeline_framework.errors import PipelineError
from include.sql.text import SqlFragment


class Session:
    """One connection that runs statements by file name; every error of the client becomes an error of the framework."""

    def __init__(
        self,
        connection: Any,
        dialect: Dialect,
        fragments: Mapping[str, SqlFragment],
        translate: Callable[[Exception, str], PipelineError | None],
        where: str,
    ) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.where = where
        self._dialect, self._fragments, self._translate = dialect, fragments, translate

    def text(self, name: str, more: Mapping[str, SqlFragment] | None = None) -> str:
        """Return the statement's text with its identifiers inserted; `more` are those that only this call knows."""
        return self._dialect.text(name, {**self._fragments, **(more or {})})

    def run(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """Execute one statement file; return its rows, if it has any."""
        return self.execute(self.text(name), parameters, doing=name)

    def change(self, name: str, parameters: Mapping[str, Any]) -> int:
        """Execute one statement file that changes rows; return their number."""
        self.execute(self.text(name), parameters, doing=name, fetch=False)
        return int(self.cursor.rowcount)

    def execute(self, sql: str, parameters: Mapping[str, Any] | None, *, doing: str, fetch: bool = True) -> list[Any]:
        """Execute a statement's text, whose parameters are spelled `%(name)s`."""
        with self.translated(doing):
            self.cursor.execute(self._dialect.spelled(sql), self._dialect.parameters(parameters or {}))
            return list(self.cursor.fetchall()) if fetch and self.cursor.description else []

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turn the client library's errors into the framework's."""
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            translated = self._translate(error, f"{self.where} ({doing})")
            if translated is None:
                raise
            raise translated from error

    def close(self) -> None:
        """Close the connection, and with it end an open transaction; never raises."""
        with suppress(Exception):
            self.connection.close()

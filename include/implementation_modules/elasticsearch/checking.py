"""Checks an Elasticsearch source before any window is claimed; see `Check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from include.implementation_modules.elasticsearch import indices as elasticsearch_indices
from include.implementation_modules.elasticsearch.answers import (
    Channel,
    SearchAnswer,
    check_whole,
    exact_total,
    index_path,
)
from include.implementation_modules.elasticsearch.errors import status_of
from include.implementation_modules.elasticsearch.extract import EVERY_SHARD, EXISTING, ElasticsearchSourceOptions
from include.implementation_modules.elasticsearch.field_types import require_date
from include.implementation_modules.elasticsearch.indices import Index
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.errors import ConfigurationError, PipelineError, ServiceUnavailableError
from include.pipeline_framework.ports.checking import Look

_STEPS = {401: "authenticated", 403: "may read", 404: "index exists"}
_CLOCK_PATH = "/_cat/health?format=json&h=epoch"
_LONGEST_WAIT_SECONDS = 30.0


def check(client: Any, options: ElasticsearchSourceOptions, look: Look) -> Sequence[Verdict]:
    """Look at server, login, indices, time field and rights; nothing is refreshed and no document is read."""
    looking = _Looking(client, options, look)
    if looking.reaches():
        looking.time_field()
        looking.read()
        looking.clock()
    return looking.found.verdicts


class _Looking:
    def __init__(self, client: Any, options: ElasticsearchSourceOptions, look: Look) -> None:
        self.found = Findings("source")
        self._options, self._look = options, look
        self._channel = Channel(client, min(options.request_timeout_seconds, _LONGEST_WAIT_SECONDS))
        self._where = f"index {options.index}"
        self._wildcards = {"expand_wildcards": elasticsearch_indices.expand_wildcards(options.leave_out)}

    def reaches(self) -> bool:
        """Look at the indices; return whether any of it makes sense to look at further."""
        options = self._options
        try:
            found = elasticsearch_indices.look(self._channel, options.index, options.leave_out, self._where)
        except PipelineError as error:
            self._refused(error, "may see the index's settings")
            return status_of(error) == 403  # it may still be allowed to read
        self.found.ok(
            "reachable",
            f"{options.index} stands for {', '.join(index.name for index in found[:3]) or 'remote indices'}"
            + (f" and {len(found) - 3} more" if len(found) > 3 else ""),
        )
        self._indices(found)
        self._rights(found)
        return True

    def time_field(self) -> None:
        """Look at the mapping of the time field."""
        options = self._options
        try:
            time = require_date(self._channel, options.index, options.time_field, self._wildcards, self._where)
        except PipelineError as error:
            self._refused(error, "time field")
        else:
            self.found.ok("time field", f"{time.name} is mapped as {' and '.join(sorted(time.types))}")

    def read(self) -> None:
        """Count the documents that no window will ever have."""
        options = self._options
        undated = {"bool": {"must_not": {"exists": {"field": options.time_field}}}}
        try:
            answer = self._channel.ask(
                "POST",
                index_path(options.index, "_search"),
                SearchAnswer,
                where=self._where,
                body={"size": 0, "track_total_hits": True, "query": undated},
                parameters=EVERY_SHARD | EXISTING | self._wildcards,
            )
            without = exact_total(check_whole(answer, self._where), self._where)
        except PipelineError as error:
            self._refused(error, "may read")
            return
        self.found.ok("may read", "every shard answered a search")
        if without:
            self.found.warning(
                "time field filled",
                f"{without} documents have no {options.time_field}: they belong to no window and are never loaded",
                "Fill the field at the source, or choose another time_field.",
            )

    def clock(self) -> None:
        """Compare the server's clock, which tells whole seconds."""
        before = self._look.clock().replace(microsecond=0)
        try:
            answer = self._channel.answer_if_any(_CLOCK_PATH, where=self._where)
            theirs = None if answer is None else datetime.fromtimestamp(int(json.loads(answer)[0]["epoch"]), UTC)
        except (PipelineError, ValueError, KeyError, IndexError, TypeError):
            theirs = None
        if theirs is None:
            self.found.unknown(
                "clock", "the server does not tell its time to this user", "Give the user the privilege monitor."
            )
        else:
            self.found.clock(theirs, before, self._look.clock())

    def _indices(self, found: Sequence[Index]) -> None:
        unreadable = [index for index in found if index.unreadable]
        readable = [index for index in found if not index.unreadable]
        settle, is_refreshed = self._look.settle, self._options.refresh == "before_reading"
        for name, some in (("indices open", unreadable), ("refresh_interval", readable)):
            try:
                elasticsearch_indices.require_readable(some, settle, is_refreshed=is_refreshed, where=self._where)
            except ConfigurationError as error:
                self.found.refused(name, error)
            else:
                said = "none is closed or frozen" if name == "indices open" else "documents are visible in time"
                self.found.ok(name, said)

    def _rights(self, found: Sequence[Index]) -> None:
        try:
            is_told = elasticsearch_indices.require_unrestricted(self._channel, found, self._where)
        except PipelineError as error:
            self.found.refused("sees every document", error)
            return
        if is_told:
            self.found.ok("sees every document", "no role hides documents or fields")
        else:
            self.found.unknown(
                "sees every document",
                "the server does not tell what this user may see",
                "Nothing where security is off; else let the user ask for its own privileges.",
            )

    def _refused(self, error: PipelineError, step: str) -> None:
        if isinstance(error, ServiceUnavailableError) and status_of(error) is None:
            self.found.unreachable(error, self._look.connection_id)
            return
        self.found.refused(_STEPS.get(status_of(error) or 0, step), error)

"""Reads reports of a CRM over HTTP: every page of one snapshot, each exactly once, or an error.

A report is proven whole when every page gives its own number, all pages give the same number of pages and rows, no two
pages have the same rows, and the number of rows is the one that the pages give. A page that fails is requested again,
after growing, random waits or the CRM's own `Retry-After`; if the pages contradict each other, the report is started
again. Both happen at most `max_tries` times. A page is handed on before the next one is asked for, so
the report is never whole in memory.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import blake2b
from types import TracebackType
from typing import Any, NoReturn, Protocol

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from include.orders_sync.adapters.http_session import Answer, HttpSession, StartAgain, TryAgain
from include.orders_sync.adapters.report_formats import PageContent, parse_page
from include.orders_sync.core.reports import BadReportError
from include.orders_sync.ports import ReportPage
from include.pipeline_framework.core.time.delays import growing_delay
from include.pipeline_framework.errors import ConfigurationError, IncompleteExtractError

_FIRST_WAIT_SECONDS = 0.5


class _ReportSettings(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...


class _HttpSettings(Protocol):
    @property
    def page_size(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def max_tries(self) -> int: ...
    @property
    def longest_wait_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One requested report."""

    report: str
    settings: _ReportSettings
    store_code: str
    from_date: date
    to_date: date
    base_url: str

    def where(self, page: int) -> str:
        """Return pipeline, store and dates for messages and logs."""
        address = f"{self.base_url}/{self.settings.path.lstrip('/')}"
        return f"{address}, store {self.store_code}, {self.from_date} to {self.to_date}, page {page}"


@dataclass(frozen=True, slots=True)
class _Page:
    """One page, and its headers about the whole report."""

    content: PageContent
    pages: int
    total_rows: int
    snapshot: str | None


@dataclass(slots=True)
class _Reading:
    """What is known of the pages of one snapshot that were read so far.

    Attributes:
        first: The first page without its rows.
        rows: How many all pages have.
        digests: Of every page's rows, in their order; None of a page without rows.
        doubted: Numbers of pages that had the rows of another page.
        seen: Without a snapshot: the page by the digest of each row.
    """

    wanted: _Wanted
    first: _Page | None = None
    rows: int = 0
    digests: list[bytes | None] = field(default_factory=list)
    doubted: set[int] = field(default_factory=set)
    seen: dict[bytes, int] = field(default_factory=dict)

    def add(self, page: _Page, number: int, where: str) -> None:
        """Take a page in, if it fits to the earlier ones.

        Raises:
            TryAgain: It is empty, or has the rows of another page.
            StartAgain: It contradicts the first page, or has the rows of another page for the second time, or there is
                no snapshot and it has a row of another page.
        """
        if self.first is not None:
            _check_fits(page, self.first, where)
        digest = self._check_new(page, number, where)
        if not page.snapshot:
            self._check_no_row_on_two_pages(page, number, where)
        self.digests.append(digest)
        self.rows += len(page.content.rows)
        if self.first is None:
            self.first = replace(page, content=PageContent(page.content.columns, []))

    def check_whole(self, where: str) -> None:
        """Refuse pages that have another number of rows than the CRM says.

        Raises:
            StartAgain: They have.
        """
        if self.first is not None and self.rows != self.first.total_rows:
            total = self.first.total_rows
            _contradiction(f"the pages have {self.rows} rows together, and the CRM says that there are {total}", where)

    def _check_new(self, page: _Page, number: int, where: str) -> bytes | None:
        rows = page.content.rows
        if not rows and page.total_rows:
            raise TryAgain(IncompleteExtractError(f"page {number} of {page.pages} is empty", where=where))
        digest = _digest(rows) if rows else None
        if digest is None or digest not in self.digests:
            return digest
        same = self.digests.index(digest) + 1
        error = IncompleteExtractError(f"page {number} has the rows of page {same}", where=where)
        if number in self.doubted:
            raise StartAgain(error)
        self.doubted.add(number)
        raise TryAgain(error)

    def _check_no_row_on_two_pages(self, page: _Page, number: int, where: str) -> None:
        """Refuse a row on two pages: without a snapshot rows may move from page to page between requests."""
        for row in page.content.rows:
            if (earlier := self.seen.setdefault(_digest(row), number)) != number:
                _contradiction(
                    f"a row of page {earlier} stands on page {number}, too: the CRM gave no snapshot, and the report"
                    " changed between its pages",
                    where,
                )


class HttpReportClient:
    """`ReportClient` of one CRM; may be used by many threads.

    Args:
        base_url: The address below which its token and its reports are.
        client_id: Of its client credentials.
        client_secret: Of its client credentials; never in a message, log line or representation.
        reports: Path and format by name.
        http: Time-outs and retries.
        sleep: Waits between tries.
        clock: Seconds since 1970, for `Retry-After` and the end of a token.
    """

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str,
        client_secret: str,
        reports: Mapping[str, _ReportSettings],
        http: _HttpSettings,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = HttpSession(
            base_url=base_url,
            client_id=client_id,
            client_secret=client_secret,
            timeout_seconds=http.timeout_seconds,
            clock=clock,
        )
        self._reports = dict(reports)
        self._http = http
        self._sleep = sleep
        self._log = structlog.get_logger(__name__)

    def __repr__(self) -> str:
        return f"HttpReportClient({self._session.base_url!r})"

    def __enter__(self) -> HttpReportClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def pages(self, report: str, *, store_code: str, from_date: date, to_date: date) -> Iterator[ReportPage]:
        """See `ReportClient`."""
        if report not in self._reports:
            raise ConfigurationError(
                f"no report {report!r} is configured for this CRM",
                where=self._session.base_url,
                remedy="Name its path and format under `reports` in include/orders_sync/config.yaml.",
            )
        wanted = _Wanted(report, self._reports[report], store_code, from_date, to_date, self._session.base_url)
        with self._giving_up(StartAgain):
            for attempt in self._tries(StartAgain, wanted, "report begun again"):
                with attempt:
                    yield from self._one_snapshot(wanted)

    def _one_snapshot(self, wanted: _Wanted) -> Iterator[ReportPage]:
        """Yield every page; the last one comes when all are proven whole."""
        reading = _Reading(wanted)
        page, number, first_number = self._page(reading, 1), 1, 1
        while number < page.pages:
            yield ReportPage(first_number, page.content.columns, page.content.rows)
            number, first_number = number + 1, first_number + len(page.content.rows)
            page = self._page(reading, number)
        reading.check_whole(wanted.where(number))
        yield ReportPage(first_number, page.content.columns, page.content.rows)

    def _page(self, reading: _Reading, number: int) -> _Page:
        """Read the next page, with at most `max_tries` tries."""
        with self._giving_up(TryAgain):
            page: _Page = self._tries(TryAgain, reading.wanted, "request tried again", page=number)(
                self._try_page, reading, number
            )
        return page

    def _try_page(self, reading: _Reading, number: int) -> _Page:
        wanted = reading.wanted
        where = wanted.where(number)
        parameters = {
            "store_code": wanted.store_code,
            "from_date": wanted.from_date.isoformat(),
            "to_date": wanted.to_date.isoformat(),
            "page": str(number),
            "page_size": str(self._http.page_size),
        }
        if reading.first is not None and reading.first.snapshot:
            parameters["snapshot"] = reading.first.snapshot
        answer = self._session.get(wanted.settings.path, parameters, where=where)
        page = self._read(answer, wanted, number, where)
        reading.add(page, number, where)
        return page

    def _read(self, answer: Answer, wanted: _Wanted, number: int, where: str) -> _Page:
        """Return the page and what its headers say; an answer without the headers does not come from the CRM."""
        headers = answer.headers
        # an answer without content has no page to count; it still has to say that there are no rows
        default = "1" if answer.status == 204 and headers.get("X-Total-Rows", "").strip() == "0" else ""
        counts = [_count(headers.get(name, default)) for name in ("X-Page", "X-Pages", "X-Total-Rows")]
        if headers.get("X-Report") != wanted.report or None in counts:
            status = "" if answer.status == 200 else f" (status {answer.status})"
            raise TryAgain(
                BadReportError(
                    f"the CRM's answer{status} does not say that it is the report {wanted.report}",
                    where=where,
                    meaning="Its headers X-Report, X-Page, X-Pages and X-Total-Rows have to",
                    remedy="See what answers there; a maintenance or log-in page looks like this, too.",
                )
            )
        got, pages, total_rows = (count or 0 for count in counts)
        if got != number:
            raise TryAgain(
                IncompleteExtractError(f"page {number} was asked for, and the CRM gave page {got}", where=where)
            )
        if not (min(1, total_rows) <= pages <= max(1, total_rows) and number <= max(1, pages)):
            raise TryAgain(
                IncompleteExtractError(f"the CRM says page {number} of {pages}, {total_rows} rows in all", where=where)
            )
        try:
            content = parse_page(answer.body, wanted.settings.format, where=where, may_be_empty=total_rows == 0)
        except BadReportError as error:
            if type(error) is not BadReportError:  # too large: the next try would be the same
                raise
            raise TryAgain(error) from error.__cause__
        return _Page(content, pages, total_rows, headers.get("X-Snapshot"))

    def _tries(self, again: type[TryAgain], wanted: _Wanted, event: str, **details: Any) -> Retrying:
        """Return what tries at most `max_tries` times, as long as it is this error, and tells each time."""

        def tell(state: RetryCallState) -> None:
            problem = _problem_of(state)
            self._log.warning(
                event,
                report=wanted.report,
                store_code=wanted.store_code,
                from_date=str(wanted.from_date),
                to_date=str(wanted.to_date),
                tried=state.attempt_number,
                max_tries=self._http.max_tries,
                cause=problem.error.what,
                wait_seconds=round(state.next_action.sleep if state.next_action else 0.0, 3),
                **details,
            )

        return Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._http.max_tries),
            wait=self._wait,
            retry=retry_if_exception(lambda error: type(error) is again),
            before_sleep=tell,
            reraise=True,
        )

    @contextmanager
    def _giving_up(self, again: type[TryAgain]) -> Iterator[None]:
        """Raise the error that the last try carries."""
        try:
            yield
        except TryAgain as problem:
            if type(problem) is not again:
                raise  # StartAgain of a page: the caller counts the report's tries
            count = self._http.max_tries
            problem.error.meaning = problem.error.meaning or (
                f"It stayed so in {count} {'try' if count == 1 else 'tries'}; nothing of this report was used"
            )
            problem.error.remedy = problem.error.remedy or "Look at the CRM; the next run pulls these dates again."
            raise problem.error from problem.__cause__

    def _wait(self, state: RetryCallState) -> float:
        """Return the seconds until the next try: what the CRM asks for, else a random part of a doubling wait."""
        longest = self._http.longest_wait_seconds
        growing = growing_delay(_FIRST_WAIT_SECONDS, longest, failed=state.attempt_number)
        asked = _problem_of(state).wait_seconds
        return min(longest, asked) if asked else growing * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load


def _problem_of(state: RetryCallState) -> TryAgain:
    problem = state.outcome.exception() if state.outcome else None
    if not isinstance(problem, TryAgain):  # tenacity waits only for errors that it tries again
        raise AssertionError(problem)
    return problem


def _check_fits(page: _Page, first: _Page, where: str) -> None:
    """Raise StartAgain if a page contradicts the first page about the report."""
    for name, now, before in (
        ("number of pages", page.pages, first.pages),
        ("number of rows", page.total_rows, first.total_rows),
        ("snapshot", page.snapshot, first.snapshot),
        ("columns", page.content.columns, first.content.columns),
    ):
        if now != before:
            shown = "" if name in ("snapshot", "columns") else f" ({before} before, {now} now)"
            _contradiction(f"the report's {name} changed between its pages{shown}", where)


def _contradiction(what: str, where: str) -> NoReturn:
    raise StartAgain(IncompleteExtractError(what, where=where))


def _digest(cells: Sequence[Any]) -> bytes:
    """Return the same 16 bytes for the same cells, and others for any others."""
    return blake2b(repr(cells).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _count(text: str) -> int | None:
    """Return the whole number in a header; None if the header is missing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

"""Reads reports of a CRM over HTTP: every page of one snapshot, each exactly once, or an error.

A report is proven whole when every page gives its own number, all pages give the same number of pages and rows, no two
pages have the same rows, and the number of rows is the one that the pages give. A page that fails is requested again,
after growing, random waits or the CRM's own `Retry-After`; if the pages contradict each other, the report is started
again. Both happen at most `max_tries` times.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from include.orders_sync.adapters.http_session import Answer, HttpSession, StartAgain, TryAgain
from include.orders_sync.adapters.report_formats import parse_page
from include.orders_sync.core.reports import BadReportError
from include.orders_sync.ports import RawReport
from include.pipeline_framework.core.time.delays import growing_delay
from include.pipeline_framework.errors import ConfigurationError, IncompleteExtractError

_FIRST_WAIT_SECONDS = 0.5

Result = TypeVar("Result")


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

    content: RawReport
    pages: int
    total_rows: int
    snapshot: str | None


@dataclass(slots=True)
class _Reading:
    """The pages of one snapshot that were read so far, in their order."""

    wanted: _Wanted
    pages: list[_Page] = field(default_factory=list)
    doubted: set[int] = field(default_factory=set)

    def check_new(self, page: _Page, number: int, where: str) -> None:
        """Refuse a page whose rows another page had; after the second time the report is read again from its start."""
        rows = page.content.rows
        if not rows and page.total_rows:
            raise TryAgain(IncompleteExtractError(f"page {number} of {page.pages} is empty", where=where))
        same = next((i for i, earlier in enumerate(self.pages, 1) if rows and earlier.content.rows == rows), None)
        if same is None:
            return
        error = IncompleteExtractError(f"page {number} has the rows of page {same}", where=where)
        if number in self.doubted:
            raise StartAgain(error)
        self.doubted.add(number)
        raise TryAgain(error)

    def check_no_row_on_two_pages(self) -> None:
        """Refuse a row on two pages: without a snapshot rows may move from page to page between requests."""
        seen: dict[tuple[str, ...], int] = {}
        for number, page in enumerate(self.pages, 1):
            for row in page.content.rows:
                if (earlier := seen.setdefault(tuple(map(repr, row)), number)) != number:
                    _contradiction(
                        f"a row of page {earlier} stands on page {number}, too: the CRM gave no snapshot, and the"
                        " report changed between its pages",
                        self.wanted.where(number),
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

    def fetch(self, report: str, *, store_code: str, from_date: date, to_date: date) -> RawReport:
        """See `ReportClient`."""
        if report not in self._reports:
            raise ConfigurationError(
                f"no report {report!r} is configured for this CRM",
                where=self._session.base_url,
                remedy="Name its path and format under `reports` in include/orders_sync/config.yaml.",
            )
        wanted = _Wanted(report, self._reports[report], store_code, from_date, to_date, self._session.base_url)
        return self._trying(StartAgain, lambda: self._whole_report(wanted), wanted, "report begun again")

    def _whole_report(self, wanted: _Wanted) -> RawReport:
        reading = _Reading(wanted)
        first = self._page(reading, 1)
        for number in range(2, first.pages + 1):
            self._page(reading, number)
        if not first.snapshot:
            reading.check_no_row_on_two_pages()
        rows = [row for page in reading.pages for row in page.content.rows]
        if len(rows) != first.total_rows:
            _contradiction(
                f"the pages have {len(rows)} rows together, and the CRM says that there are {first.total_rows}",
                wanted.where(first.pages),
            )
        return RawReport(first.content.columns, rows)

    def _page(self, reading: _Reading, number: int) -> _Page:
        """Read the next page, with at most `max_tries` tries."""
        wanted = reading.wanted
        page = self._trying(
            TryAgain, lambda: self._try_page(reading, number), wanted, "request tried again", page=number
        )
        reading.pages.append(page)
        return page

    def _try_page(self, reading: _Reading, number: int) -> _Page:
        wanted = reading.wanted
        where = wanted.where(number)
        first = reading.pages[0] if reading.pages else None
        parameters = {
            "store_code": wanted.store_code,
            "from_date": wanted.from_date.isoformat(),
            "to_date": wanted.to_date.isoformat(),
            "page": str(number),
            "page_size": str(self._http.page_size),
        }
        if first is not None and first.snapshot:
            parameters["snapshot"] = first.snapshot
        answer = self._session.get(wanted.settings.path, parameters, where=where)
        page = self._read(answer, wanted, number, where)
        if first is not None:
            _check_fits(page, first, where)
        reading.check_new(page, number, where)
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

    def _trying(
        self, again: type[TryAgain], call: Callable[[], Result], wanted: _Wanted, event: str, **details: Any
    ) -> Result:
        """Return the result of `call`, after at most `max_tries` tries; then raise the error of its last try."""

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

        tries = Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._http.max_tries),
            wait=self._wait,
            retry=retry_if_exception(lambda error: type(error) is again),
            before_sleep=tell,
            reraise=True,
        )
        try:
            return tries(call)
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


def _count(text: str) -> int | None:
    """Return the whole number in a header; None if the header is missing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

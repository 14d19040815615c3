"""What the simulated CRM knows and remembers: data, clock, clients, tokens, snapshots, faults, a log of requests."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from local_stack.crm.faults import Faults
from local_stack.crm.reports import REPORTS, Data, Report, Row, report_rows, truth
from local_stack.crm.stores import MAX_STORES

TOKEN_SECONDS = 600
LARGEST_PAGE = 10_000
_KEPT_SNAPSHOTS = 16
_KEPT_ENTRIES = 50_000


class RefusedError(Exception):
    """A request that gets another status than 200, and the message in its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A checked request for one page."""

    report: Report
    store_code: str
    from_date: date
    to_date: date
    page: int
    page_size: int
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The rows of one page, and what its headers say."""

    rows: list[Row]
    page: int
    pages: int
    total_rows: int
    snapshot: str


@dataclass(slots=True)
class Entry:
    """One served request for a report; `ended_at` is when its answer was ready, or its connection broken."""

    id: int
    system: str
    report: str
    store_code: str
    from_date: str
    to_date: str
    page: str
    started_at: float
    ended_at: float | None = None
    status: int | None = None
    fault: str | None = None
    rows: int | None = None


class Crm:
    """The simulator without HTTP; safe for many threads.

    Args:
        data: What all rows are a function of.
        clients: Secret by client id, for each system.
        control_token: Of the control routes.
        now: A moment at which the clock stands; None: it is the real time.
        keep: Called with the data whenever they change.
    """

    def __init__(
        self,
        data: Data,
        *,
        clients: Mapping[str, tuple[str, str]],
        control_token: str,
        now: datetime | None = None,
        keep: Callable[[Data], None] = lambda _data: None,
    ) -> None:
        self.data = data
        self._keep = keep
        self.clients = dict(clients)
        self.control_token = control_token
        self.faults = Faults()
        self._frozen_at = now.timestamp() if now else None
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._snapshots: OrderedDict[str, tuple[tuple[Any, ...], list[Row]]] = OrderedDict()
        self._entries: deque[Entry] = deque(maxlen=_KEPT_ENTRIES)
        self.last_id = 0
        self.tokens_issued = 0

    def now(self) -> float:
        """The simulator's clock: seconds since 1970."""
        return time.time() if self._frozen_at is None else self._frozen_at

    def set_clock(self, now: str | None) -> None:
        """Let the clock stand at an ISO instant with an offset; None: let it follow the real time."""
        if now is not None and datetime.fromisoformat(now).tzinfo is None:
            raise ValueError("give the instant with its offset from UTC")
        self._frozen_at = None if now is None else datetime.fromisoformat(now).timestamp()

    def set_data(self, values: dict[str, Any]) -> None:
        """Change seed, stores, volume or today; snapshots of the data before are lost."""
        data = self.data.changed(values)
        if not (1 <= data.stores <= MAX_STORES and 0 <= data.volume <= 1_000):
            raise ValueError(f"1 to {MAX_STORES} stores, volume 0 to 1000")
        with self._lock:
            self.data = data
            self._snapshots.clear()
            self._keep(data)

    def issue_token(self, system: str, request: Any) -> dict[str, Any]:
        """The answer to a request for a token by client credentials."""
        wanted = self.clients[system]
        given = request if isinstance(request, dict) else {}
        is_right = secrets.compare_digest(str(given.get("client_id")).encode(), wanted[0].encode())
        is_right &= secrets.compare_digest(str(given.get("client_secret")).encode(), wanted[1].encode())
        if given.get("grant_type") != "client_credentials" or not is_right:
            raise RefusedError(401, "invalid_client")
        token = secrets.token_urlsafe(24)
        with self._lock:
            now = time.monotonic()
            self._tokens = {value: known for value, known in self._tokens.items() if known.ends_at > now}
            self._tokens[token] = _Token(system, now + TOKEN_SECONDS)
            self.tokens_issued += 1
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}

    def use_token(self, system: str, authorization: str) -> bool:
        """Whether this is the token's first use.

        Raises:
            RefusedError: It is none of this system's living tokens.
        """
        with self._lock:
            token = self._tokens.get(authorization.removeprefix("Bearer "))
            if token is None or token.system != system or token.ends_at <= time.monotonic():
                raise RefusedError(401, "invalid_token")
            token.uses += 1
            return token.uses == 1

    def end_token(self, authorization: str) -> None:
        """Refuse a token from now on."""
        with self._lock:
            self._tokens.pop(authorization.removeprefix("Bearer "), None)

    def page(self, request: ReportRequest) -> ReportPage:
        """One page of a snapshot; page 1 without one takes a new one.

        Raises:
            RefusedError: No such store, page or snapshot.
        """
        asked = (request.report.name, request.store_code, request.from_date, request.to_date, request.page_size)
        if request.snapshot is None:
            rows = self._rows(request.report, request.store_code, request.from_date, request.to_date, self.now())
            snapshot = secrets.token_urlsafe(9)
            with self._lock:
                self._snapshots[snapshot] = (asked, rows)
                while len(self._snapshots) > _KEPT_SNAPSHOTS:
                    self._snapshots.popitem(last=False)
        else:
            snapshot = request.snapshot
            with self._lock:
                known = self._snapshots.get(snapshot)
                if known is None or known[0] != asked:
                    raise RefusedError(409, "no such snapshot; begin again with page 1")
                self._snapshots.move_to_end(snapshot)
                rows = known[1]
        pages = max(1, -(-len(rows) // request.page_size))
        if request.page > pages:
            raise RefusedError(422, f"there are {pages} pages")
        begin = (request.page - 1) * request.page_size
        return ReportPage(rows[begin : begin + request.page_size], request.page, pages, len(rows), snapshot)

    def truth(self, report: str, store_code: str, from_date: date, to_date: date) -> dict[str, Any]:
        """What a complete pull would have now."""
        if report not in REPORTS:
            raise RefusedError(404, "no such report")
        as_of = self.now()
        return truth(REPORTS[report], self._rows(REPORTS[report], store_code, from_date, to_date, as_of), as_of)

    def begin(self, system: str, report: str, query: Mapping[str, str]) -> Entry:
        """Note a request for a report."""
        with self._lock:
            self.last_id += 1
            entry = Entry(
                self.last_id,
                system,
                report,
                query.get("store_code", ""),
                query.get("from_date", ""),
                query.get("to_date", ""),
                query.get("page", ""),
                time.time(),
            )
            self._entries.append(entry)
            return entry

    def log(self, since: int) -> list[dict[str, Any]]:
        """Entries with a greater id, oldest first; only the last 50,000 are kept."""
        with self._lock:
            return [asdict(entry) for entry in self._entries if entry.id > since]

    def clock(self) -> dict[str, Any]:
        """The clock, and whether it stands."""
        return {
            "now": datetime.fromtimestamp(self.now(), UTC).isoformat(),
            "is_frozen": self._frozen_at is not None,
        }

    def _rows(self, report: Report, store_code: str, from_date: date, to_date: date, as_of: float) -> list[Row]:
        store = self.data.find_store(store_code, report.system)
        if store is None:
            raise RefusedError(422, "no such store")
        return report_rows(report, self.data, store, from_date, to_date, as_of)


@dataclass(slots=True)
class _Token:
    system: str
    ends_at: float
    uses: int = 0

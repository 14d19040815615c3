"""Which fault the next request meets: those that were ordered one by one, and random ones by a seed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from random import Random
from typing import Any

RECOVERABLE = (
    "429", "500", "503", "timeout", "reset", "truncated", "broken", "garbage", "duplicate_page", "wrong_page",
    "token_expired", "lost_snapshot",
)  # fmt: skip
"""A client that tries again gets the report. `truncated` ends before its declared length; `broken` is cut, but says the
shorter length; `garbage` is a page of HTML with status 200."""
TERMINAL = ("missing_column", "bad_cell", "wrong_store")
"""The report itself is wrong."""
KINDS = (*RECOVERABLE, *TERMINAL)
_ON_TOKEN = frozenset({"429", "500", "503", "timeout", "reset", "truncated", "broken", "garbage"})
_ON_LATER_PAGES = frozenset({"duplicate_page", "lost_snapshot"})


@dataclass(slots=True)
class Fault:
    """One fault, and which requests it waits for.

    Attributes:
        kind: One of `KINDS`.
        on: `report` or `token`: which requests it is for.
        report: Only requests for this report.
        store_code: Only requests for this store.
        page: Only requests for this page.
        times: How many requests; None: all that fit, until the faults are set anew.
        retry_after: Of 429, 500 and 503: seconds, or `date:<seconds>` for an HTTP date so far from the real now.
        at: Of `reset`: `start`, before the answer, or `middle`, in its body.
    """

    kind: str
    on: str = "report"
    report: str | None = None
    store_code: str | None = None
    page: int | None = None
    times: int | None = 1
    retry_after: str | None = None
    at: str = "start"

    @classmethod
    def parse(cls, value: Any) -> Fault:
        """A kind, or a JSON object of the attributes.

        Raises:
            ValueError: It is neither.
        """
        values = {"kind": value} if isinstance(value, str) else dict(value)
        known = {entry.name for entry in fields(cls)}
        if (
            set(values) - known
            or values.get("kind") not in KINDS
            or values.get("on", "report") not in ("report", "token")
        ):
            raise ValueError(f"a fault has {', '.join(sorted(known))}; its kind is one of {', '.join(KINDS)}")
        if values.get("retry_after") is not None:
            values["retry_after"] = str(values["retry_after"])
        return cls(**values)

    def fits(self, request: Request) -> bool:
        """Whether it can be applied to a request."""
        if self.on != request.on or (self.on == "token" and self.kind not in _ON_TOKEN):
            return False
        if self.kind in _ON_LATER_PAGES and (request.page or 1) < 2:
            return False
        if self.kind == "token_expired" and request.is_first_use:
            return False  # a token is good for one request at least
        wanted = ((self.report, request.report), (self.store_code, request.store_code), (self.page, request.page))
        return all(asked is None or asked == given for asked, given in wanted)


@dataclass(frozen=True, slots=True)
class Request:
    """What faults look at."""

    on: str
    report: str | None = None
    store_code: str | None = None
    page: int | None = None
    is_first_use: bool = False


class Faults:
    """The faults to come; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []
        self._rate = 0.0
        self._kinds: tuple[str, ...] = RECOVERABLE
        self._random = Random(0)  # noqa: S311 - repeatable faults

    def set(self, value: Any) -> None:
        """Replace all faults: a list of them, or `{"rate": 0.1, "seed": 7, "kinds": […]}`.

        Raises:
            ValueError: It is neither, or names an unknown kind.
        """
        ordered: list[Fault] = []
        kinds: tuple[str, ...] = RECOVERABLE
        rate, seed = 0.0, 0
        if isinstance(value, list):
            ordered = [Fault.parse(entry) for entry in value]
        elif isinstance(value, dict) and set(value) <= {"rate", "seed", "kinds"}:
            rate, seed = float(value.get("rate", 0)), int(value.get("seed", 0))
            kinds = tuple(Fault.parse(kind).kind for kind in value.get("kinds") or RECOVERABLE)
        else:
            raise ValueError("give a list of faults, or an object of rate, seed and kinds")
        with self._lock:
            self._ordered, self._rate, self._kinds, self._random = ordered, rate, kinds, Random(seed)  # noqa: S311

    def next_for(self, request: Request) -> Fault | None:
        """The first ordered fault that fits, else perhaps a random one that does."""
        with self._lock:
            for fault in self._ordered:
                if fault.fits(request):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times < 1:
                            self._ordered.remove(fault)
                    return fault
            if request.on == "report" and self._rate and self._random.random() < self._rate:
                fault = Fault(self._random.choice(self._kinds), at=self._random.choice(("start", "middle")))
                return fault if fault.fits(request) else None
        return None

"""The control routes of a simulated CRM, as a client: for tests, demos and the command line."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from local_stack.errors import LocalStackError


class CrmControl:
    """Sets the clock, the data and the faults of one CRM, and tells its truth.

    Args:
        url: `CRM_URL` of the environment.
        token: `CRM_CONTROL_TOKEN`.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def clock(self, now: str | datetime | None) -> datetime:
        """Let the clock stand at an instant with offset; None: let it follow the real time. Returns its instant."""
        given = now.isoformat() if isinstance(now, datetime) else now
        return datetime.fromisoformat(self._call("clock", body={"now": given})["now"])

    def now(self) -> datetime:
        """The simulator's clock."""
        return datetime.fromisoformat(self._call("clock")["now"])

    def advance(self, **duration: float) -> datetime:
        """Let the clock stand later than now by `hours=3`, `days=1`, …; returns its new instant."""
        return self.clock(self.now() + timedelta(**duration))

    def faults(self, *faults: str | Mapping[str, Any]) -> None:
        """Each for the next request that fits it; replaces all faults. See `local_stack.crm.faults.Fault`."""
        self._call("faults", body=list(faults))

    def random_faults(self, *, rate: float, seed: int, kinds: Iterable[str] | None = None) -> None:
        """So large a share of the requests for reports fails; by default in any way a client can recover from."""
        self._call("faults", body={"rate": rate, "seed": seed, "kinds": None if kinds is None else list(kinds)})

    def no_faults(self) -> None:
        """End all faults."""
        self._call("faults", body=[])

    def data(
        self,
        *,
        stores: int | None = None,
        volume: float | None = None,
        seed: int | None = None,
        today: date | None = None,
    ) -> dict[str, Any]:
        """Change what all rows are a function of, or nothing; returns what it is then."""
        values = {"stores": stores, "volume": volume, "seed": seed, "today": today.isoformat() if today else None}
        answer: dict[str, Any] = self._call("data", body=values)
        return answer

    def stores(self) -> list[dict[str, Any]]:
        """The rows of `store_master`, dates as text."""
        answer: list[dict[str, Any]] = self._call("stores")
        return answer

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """Requests for reports with an id greater than `since`, oldest first."""
        answer: list[dict[str, Any]] = self._call("log", {"since": str(since)})["entries"]
        return answer

    def tokens_issued(self) -> int:
        """How many tokens clients got since the start."""
        return int(self._call("counts")["tokens_issued"])

    def last_id(self) -> int:
        """The id of the latest request for a report: `log(since=…)` shows what came after."""
        return int(self._call("counts")["last_id"])

    def truth(self, report: str, store_code: str, from_date: date | str, to_date: date | str) -> dict[str, Any]:
        """What a complete pull has now: columns, rows (text or None), keys, sums of amounts, count, as_of."""
        query = {"report": report, "store_code": store_code, "from_date": str(from_date), "to_date": str(to_date)}
        answer: dict[str, Any] = self._call("truth", query)
        return answer

    def _call(self, route: str, query: Mapping[str, str] | None = None, *, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - always http on loopback
            f"{self._url}/control/{route}{'?' + urlencode(query) if query else ''}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}"},
        )
        try:
            with _OPENER.open(request, timeout=300) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise LocalStackError(
                f"The CRM refuses {route} with status {error.code}: {error.read().decode(errors='replace')[:300]}",
                "Correct the call; `python -m local_stack.crm --help` describes the data.",
            ) from error
        except OSError as error:
            raise LocalStackError(
                f"The CRM does not answer at {self._url} ({error}).", "Start it with `python -m local_stack up`."
            ) from error


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind a proxy

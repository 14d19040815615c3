"""Sends one try of one request to a CRM: its token, its limits, and the meaning of every status and broken answer.

`TryAgain` and `StartAgain` never leave the adapters: they carry the error that is raised when no try is left.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from include.orders_sync.adapters.http_bodies import ACCEPTED, BodyError, read_body
from include.orders_sync.adapters.report_formats import OversizedReportError
from include.orders_sync.core.reports import BadReportError
from include.pipeline_framework.core.time.delays import retry_after
from include.pipeline_framework.errors import (
    ConfigurationError,
    IncompleteExtractError,
    InvalidInputError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of one answer; the largest page has a tenth of that."""
_LONGEST_REFUSAL = 64 * 1024
_RENEW_BEFORE_SECONDS = 30
_LATER = frozenset({408, 425, *range(500, 600)})
_TOKEN = re.compile(r"[!-~]{1,16384}")


class TryAgain(Exception):
    """The request failed in a way that may be over at the next try.

    Args:
        error: What to raise when no try is left.
        wait_seconds: The wait that the CRM asked for, if any.
    """

    def __init__(self, error: PipelineError, wait_seconds: float | None = None) -> None:
        super().__init__(error.what)
        self.error, self.wait_seconds = error, wait_seconds


class StartAgain(TryAgain):
    """The pages read so far are of no use; the report has to be read from its first page."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, headers (in any case) and whole body of an answer."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float | None
    uses: int = 0


class _TokenAuth(httpx.Auth):
    """Adds the token to a request and, if the CRM refuses it (status 401), sends the request once more with a new one.

    One thread requests a token for all that need one. A request says in its extension `where` what it is for.

    Args:
        new_token: Requests a token, for a request that is for `where`.
        clock: Seconds since 1970.
    """

    def __init__(self, new_token: Callable[[str], _Token], clock: Callable[[], float]) -> None:
        self.token: _Token | None = None
        self._new_token, self._clock = new_token, clock
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request, at most twice.

        Raises:
            TryAgain: There is no token now, or a token that other requests used, too, was refused.
            ConfigurationError: The CRM refuses the credentials, or a token of this request alone.
        """
        where: str = request.extensions["where"]
        token = self._usable_token(where, refused=None)
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code != 401:
            return
        _leave_unread(response)
        token = self._usable_token(where, refused=token)
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == 401:
            error = ConfigurationError(
                "the CRM refuses the token that it has just given",
                where=where,
                meaning="The credentials are right, but may not read reports",
                remedy="Have the client allowed to read this report in the CRM, or use another one in the connection.",
            )
            # a token of only this request was never valid, a shared one may have ended
            raise TryAgain(error) if token.uses > 1 else error

    def _usable_token(self, where: str, *, refused: _Token | None) -> _Token:
        """Return the present token; if it is the refused one or about to end, one thread requests a new one."""
        with self._lock:
            token = self.token
            is_old = token is not None and token.renew_at is not None and self._clock() >= token.renew_at
            if token is None or token is refused or is_old:
                self.token = None
                token = self.token = self._new_token(where)
            token.uses += 1
            return token


class HttpSession:
    """Requests to one CRM with its client credentials; may be used by many threads.

    Args:
        base_url: The address of token and reports; http or https, without user and password.
        client_id: Of the client credentials.
        client_secret: Of the client credentials; never in a message, log line or representation.
        timeout_seconds: To connect, and between bytes.
        clock: Seconds since 1970.
    """

    def __init__(
        self, *, base_url: str, client_id: str, client_secret: str, timeout_seconds: float, clock: Callable[[], float]
    ) -> None:
        self.base_url = _checked_url(base_url)
        self._credentials = {"client_id": client_id, "client_secret": client_secret}
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._auth = _TokenAuth(self._new_token, clock)
        self._http = httpx.Client(timeout=timeout_seconds, follow_redirects=False, verify=_authorities())

    def __repr__(self) -> str:
        return f"HttpSession({self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, str], *, where: str) -> Answer:
        """Return the answer 200 or 204 (no content) to one GET; a refused token is renewed once.

        Raises:
            TryAgain: No answer, half an answer, or "not now".
            StartAgain: The snapshot in `parameters` no longer exists (409).
            ConfigurationError: The CRM refuses even a new token, or has no such report.
            InvalidInputError: The CRM refuses the parameters.
        """
        answer = self._exchange("GET", path, where, self._auth, params=dict(parameters))
        if answer.status not in (200, 204):
            raise self._meaning(answer, where)
        return answer

    def _new_token(self, where: str) -> _Token:
        body = {"grant_type": "client_credentials", **self._credentials}
        answer = self._exchange("POST", "oauth/token", where, None, json=body)
        if answer.status in (400, 401, 403):
            raise ConfigurationError(
                f"the CRM refuses the client credentials (status {answer.status})",
                where=f"{self.base_url}/oauth/token",
                meaning="No report of this CRM can be pulled; neither id nor secret is shown here",
                remedy="Put the right client id and secret into login and password of the CRM's Airflow connection.",
            )
        if answer.status != 200:
            raise self._meaning(answer, f"{self.base_url}/oauth/token")
        try:
            content = json.loads(answer.body)
            value, seconds = content["access_token"], content.get("expires_in")
            if not (isinstance(value, str) and _TOKEN.fullmatch(value)):
                raise ValueError
            lasts = float(seconds) if seconds is not None else None
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            # raised outside the context of the error, which may quote the token
            value, lasts = "", None
        if not value:
            raise TryAgain(
                ServiceUnavailableError(
                    "the CRM's answer to the request for a token can't be read",
                    where=f"{self.base_url}/oauth/token",
                    remedy="Check that the connection's address is the CRM's.",
                )
            )
        is_long = lasts is not None and lasts > 2 * _RENEW_BEFORE_SECONDS
        return _Token(value, self._clock() + lasts - _RENEW_BEFORE_SECONDS if lasts is not None and is_long else None)

    def _exchange(self, method: str, path: str, where: str, auth: httpx.Auth | None, **content: Any) -> Answer:
        content |= {"auth": auth, "headers": {"Accept-Encoding": ACCEPTED}, "extensions": {"where": where}}
        url = f"{self.base_url}/{path.lstrip('/')}"
        try:
            with self._http.stream(method, url, **content) as response:
                is_good = response.status_code in (200, 204)
                encoding = response.headers.get("Content-Encoding", "")
                try:
                    body = read_body(response.iter_raw(), encoding, LARGEST_BODY if is_good else _LONGEST_REFUSAL)
                except BodyError as error:
                    if is_good:
                        raise TryAgain(self._half_an_answer(str(error), where)) from error
                    body = b""  # the status is enough
        except httpx.TimeoutException as error:
            what = f"the CRM did not answer within {self._timeout_seconds:g} s"
            raise TryAgain(self._unavailable(what, where)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError):
            raise ConfigurationError(
                "the request can't be sent", where=where, remedy="Check the CRM's connection: scheme, host, port, path."
            ) from None
        except httpx.HTTPError as error:
            what = f"the connection to the CRM broke ({type(error).__name__}: {self._without_secrets(str(error))})"
            raise TryAgain(self._unavailable(what, where)) from error
        if is_good and len(body) > LARGEST_BODY:
            raise OversizedReportError(
                f"the CRM's answer has more than {LARGEST_BODY:,} bytes",
                where=where,
                meaning="No page of a report is that large; the rest was not read",
                remedy="Look at the report in the CRM, or lower `http.page_size`.",
            )
        return Answer(response.status_code, response.headers, body)

    def _meaning(self, answer: Answer, where: str) -> Exception:
        """Return the error for a status that isn't 200."""
        status = answer.status
        if status == 429:
            busy = ServiceBusyError(
                "the CRM has too many requests (status 429)", where=where, remedy="Pull fewer stores at once."
            )
            asked = retry_after(answer.headers, now=self._clock())
            return TryAgain(busy.asking_for(asked), asked)
        if status in _LATER:
            later = retry_after(answer.headers, now=self._clock())
            return TryAgain(self._unavailable(f"the CRM answered status {status}", where), later)
        if status == 409:
            lost = IncompleteExtractError("the CRM has lost the report's snapshot (status 409)", where=where)
            return StartAgain(lost)
        if 200 <= status < 300:
            return TryAgain(BadReportError(f"the CRM answered status {status} instead of a report", where=where))
        if status in (400, 422):
            return InvalidInputError(
                f"the CRM refuses the request (status {status}){self._reason(answer)}",
                where=where,
                meaning="It knows no such store, or not these dates",
                remedy="Compare the store's row in store_master with the CRM.",
            )
        return ConfigurationError(
            f"the CRM answered status {status}{' (a redirect)' if 300 <= status < 400 else ''}",
            where=where,
            meaning="It has no such report there, or doesn't give it to this client",
            remedy="Check the connection's address and `reports` in include/orders_sync/config.yaml.",
        )

    def _half_an_answer(self, what: str, where: str) -> IncompleteExtractError:
        return IncompleteExtractError(
            f"the CRM's answer can't be unpacked: {what}",
            where=where,
            remedy="Look at what stands between here and the CRM (a proxy that packs answers, say).",
        )

    def _unavailable(self, what: str, where: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(what, where=where, remedy="Look at the CRM, and pull these dates again.")

    def _reason(self, answer: Answer) -> str:
        """Return the CRM's reason for refusing a request, short and without our secrets."""
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            text = str(json.loads(answer.body)["message"])
            printable = "".join(character if character.isprintable() else " " for character in text)
            return f": {self._without_secrets(printable)[:200]}"
        return ""

    def _without_secrets(self, text: str) -> str:
        token = self._auth.token
        for secret in (self._credentials["client_secret"], token.value if token else ""):
            text = text.replace(secret, "***") if secret else text
        return text


def _leave_unread(response: httpx.Response) -> None:
    """Close the connection of a refused answer: between two requests of a flow, httpx reads a body to its end."""
    if isinstance(response.stream, httpx.SyncByteStream):
        response.stream.close()
    response.stream = httpx.ByteStream(b"")


@cache
def _authorities() -> ssl.SSLContext:
    """Return the certificate authorities, loaded once per process: that takes 60 ms."""
    return httpx.create_ssl_context()


def _checked_url(base_url: str) -> str:
    """Return the address without its last slash."""
    try:
        url = httpx.URL(base_url)
        has_port = url.port is None or 0 < url.port < 65_536
        is_good = url.scheme in ("http", "https") and bool(url.host) and has_port
        is_good = is_good and not (url.userinfo or url.query or url.fragment)
    except (httpx.InvalidURL, TypeError):
        is_good = False
    if not is_good:
        raise ConfigurationError(
            "the CRM's address is not one of http or https, or has a user, a password or a query in it",
            meaning="It is not shown, it may hold a secret",
            remedy="Give the connection a schema (http or https), a host, a port and, in its extra, base_path.",
        )
    return base_url.rstrip("/")

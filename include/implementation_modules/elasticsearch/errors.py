"""Translates errors of the Elasticsearch client into the framework's, by status and by the server's text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from include.pipeline_framework.core.texts import storable
from include.pipeline_framework.core.time.delays import retry_after
from include.pipeline_framework.errors import (
    ConfigurationError,
    IncompleteExtractError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)

THROWN_AWAY = "What was read so far is not the whole window and is thrown away"
TOO_MANY_REQUESTS = 429
_TRANSIENT_STATUSES = frozenset({408, 409, 425})
_REASON_LENGTH = 300


def is_too_large(error: PipelineError) -> bool:
    """Return whether the server could not make so large an answer; a smaller one may be possible."""
    types, reason = _said_by(error)
    return "circuit_breaking_exception" in types or "Result window is too large" in reason


def is_missing_index(error: PipelineError) -> bool:
    """Return whether an index that the request names does not exist."""
    return "index_not_found_exception" in _said_by(error)[0]


def status_of(error: PipelineError) -> int | None:
    """Return the HTTP status of the answer that an error stands for; None: there was no answer."""
    meta = getattr(error.__cause__, "meta", None)
    return None if meta is None else int(meta.status)


def _said_by(error: PipelineError) -> tuple[set[str], str]:
    body = getattr(error.__cause__, "body", None)
    return _explained(body) if body is not None else (set(), "")


def translate(error: Exception, where: str) -> PipelineError:
    """Return the framework's error for an error of the client; it never contains the client's credentials."""
    from elastic_transport import TlsError
    from elasticsearch import ApiError, UnsupportedProductError

    if isinstance(error, TlsError):
        return ConfigurationError(
            "The TLS connection to Elasticsearch was refused",
            where=where,
            meaning="Nothing was read",
            remedy="Check host, port, scheme and CA certificates of the connection.",
        )
    if isinstance(error, UnsupportedProductError):
        return ConfigurationError(
            "The answer lacks the header X-Elastic-Product: a proxy in between takes it away, or the server is no "
            "Elasticsearch",
            where=where,
            meaning="The client library refuses such answers; nothing was read",
            remedy="Let the proxy pass the header on, or check host, port and path of the connection.",
        )
    if not isinstance(error, ApiError):
        return ServiceUnavailableError(
            f"Elasticsearch did not answer ({type(error).__name__})",
            where=where,
            meaning="Nothing of this request was read",
            remedy="Airflow retries; if it stays, check host and port, or raise request_timeout_seconds.",
        )
    return _of_status(error.meta.status, error.body, where, retry_after(error.meta.headers))


def _of_status(status: int, body: Any, where: str, seconds: float | None = None) -> PipelineError:
    types, reason = _explained(body)
    said = f"HTTP {status}{f', {reason}' if reason else ''}"
    if any(name.startswith("search_context_missing") for name in types):
        return IncompleteExtractError(
            f"The point in time is gone ({said})",
            where=where,
            meaning=THROWN_AWAY,
            remedy="Airflow retries; if it stays, raise keep_alive or make the window smaller.",
        )
    if status == TOO_MANY_REQUESTS or seconds is not None:
        return ServiceBusyError(
            f"Elasticsearch has too much to do ({said})",
            where=where,
            meaning="Nothing of this request was read",
            remedy="Airflow retries after a longer delay; if it stays, lower max_active_windows, slices and page_size.",
        ).asking_for(seconds)
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return ServiceUnavailableError(
            f"Elasticsearch can't answer now ({said})",
            where=where,
            meaning="Nothing of this request was read",
            remedy="Airflow retries; if it stays, check the cluster's health and load.",
        )
    remedies = {
        401: "Check login, password or API key of the Elasticsearch connection.",
        403: "Give the user the privileges read and view_index_metadata on the index.",
        404: "Check the pipeline's index (or alias): nothing of that name exists.",
    }
    return ConfigurationError(
        f"Elasticsearch refused the request ({said})",
        where=where,
        meaning="Trying again gives the same answer",
        remedy=remedies.get(status, "Check index, time_field and its mapping (a date with doc_values)."),
    )


def _explained(body: Any) -> tuple[set[str], str]:
    """Return all error types in an error's body, and the first one with its reason."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return set(), ""
    found = list(_causes(error))
    types = {name for name, _ in found}
    return types, storable(": ".join(part for part in found[-1] if part), _REASON_LENGTH) if found else ""


def _causes(error: Any) -> Iterator[tuple[str, str]]:
    """Return the causes, the outermost first: the last one says most."""
    if isinstance(error, dict):
        if isinstance(error.get("type"), str):
            yield error["type"], str(error.get("reason") or "")
        for key in ("reason", "failed_shards", "root_cause", "caused_by"):
            yield from _causes(error.get(key))
    elif isinstance(error, list):
        for item in error:
            yield from _causes(item)

"""Check a DAG run's conf: it has only keys of the DAG's params, and whole numbers where they have to be whole.

Airflow checks a conf's values against the params' schemas, and accepts any other key silently: a misspelt flag would
be ignored, and the run would do what was not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.pipeline_framework.core.texts import nearest, shown
from include.pipeline_framework.errors import InvalidInputError


def require_known_keys(
    given: Iterable[Any], allowed: Iterable[str], where: str, *, meaning: str = "Nothing was done"
) -> None:
    """Refuse keys that nobody reads.

    Args:
        given: The conf's keys, including those whose value is null.
        allowed: The allowed keys, in the order in which a message shows them.
        where: The DAG or the pipeline, for the message.
        meaning: What the refusal means, for the message.

    Raises:
        InvalidInputError: The message names the keys, what is allowed, and what each was probably meant to be.

    >>> require_known_keys(["dry_run"], ["dry_run", "force"], "orders_sync_run_profiler")
    >>> try:
    ...     require_known_keys(["dryrun"], ["dry_run", "force"], "orders_sync_run_profiler")
    ... except InvalidInputError as error:
    ...     print(error.what, "-", error.remedy)
    conf has unknown keys ['dryrun'] - Allowed are dry_run, force; did you mean dry_run for dryrun?
    """
    known = list(allowed)
    unknown = sorted(str(key) for key in given if key not in known)
    if not unknown:
        return
    near = [f"{word} for {shown(key)[1:-1]}" for key in unknown[:_MAX_HINTS] if (word := nearest(key, known))]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise InvalidInputError(
        f"conf has unknown keys {shown(unknown)}",
        where=where,
        meaning=meaning,
        remedy=f"Allowed are {', '.join(known)}{hint}" if known else "This DAG takes no conf; trigger it without one.",
    )


def require_whole_numbers(conf: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Refuse `3.0` for an integer: JSON Schema accepts it, but code that counts with it does not.

    Raises:
        InvalidInputError: The message names the key.

    >>> require_whole_numbers({"max_records": 3}, {"max_records": {"type": "integer"}}, "record_generation")
    """
    for name, value in conf.items():
        kinds = schemas.get(name, {}).get("type", ())
        if isinstance(value, float) and "integer" in ([kinds] if isinstance(kinds, str) else kinds):
            raise InvalidInputError(
                f"{name} {shown(value)} is not a whole number",
                where=where,
                meaning="Nothing was done",
                remedy=f"Write it without a decimal point: {value:.0f}.",
            )


_MAX_HINTS = 5

"""Inserts many planned rows at once: as lines of a COPY, with their events in one more statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import psycopg

from include.implementation_modules.postgres_ledger.values import actor_parameters, json_text, only_row
from include.pipeline_framework.core.records.row import Actor
from include.sql import statement

_COLUMNS = (
    "pipeline_id", "source_name", "source_object", "stage_name", "target_name", "target_object", "data_domain",
    "timezone", "granularity", "config_hash", "target_day", "query_window_start_at", "query_window_end_at",
    "time_interval", "source_query_window_duration_minutes", "source_id", "stage_id",
    "target_id", "source_category", "stage_category", "target_category", "key_x", "key_y", "key_z",
    "collection_frequency", "source_data_frequency", "expected_source_to_stage_duration_mins",
    "expected_stage_to_target_duration_mins", "expected_audit_duration_mins", "expected_pipeline_duration_mins",
    "priority", "is_replacement_run_flag", "campaign_id", "removable_count", "is_removal_approved_flag", "zone_rules",
)  # fmt: skip
"""The columns of `copy_planned`, in its order; `static_metadata` follows them."""

_DEFAULTS = {
    "static_metadata": {},
    "priority": 0,
    "is_replacement_run_flag": False,
    "is_removal_approved_flag": False,
}
_ABSENT = {**dict.fromkeys(_COLUMNS), **_DEFAULTS}
_VALUES = itemgetter(*_COLUMNS)
_PIECE = 512
"""Rows that are sent together: about half a megabyte."""

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def copy_planned(
    cursor: psycopg.Cursor[Any], records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = ""
) -> None:
    """Insert the rows and their events in the open transaction, which must not have changed other rows of the ledger.

    Raises:
        psycopg.errors.ExclusionViolation: A row's window overlaps a live row; the transaction has failed.
    """
    cursor.execute(statement("ledger/newest_id").encode())
    newest = only_row(cursor.fetchall())["id"]
    with cursor.copy(statement("ledger/copy_planned").encode()) as copy:
        for piece in _pieces(lines(records)):
            copy.write(piece)
    cursor.execute(
        statement("ledger/note_planned").encode(), {**actor_parameters(actor), "reason": reason, "newest_id": newest}
    )


def lines(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    r"""Return each record as a line of the text format of COPY.

    >>> next(lines([{"pipeline_id": "a\tb", "priority": 3}])).split("\t")[:3]
    ['a\\tb', '\\N', '\\N']
    """
    before: tuple[Any, ...] = (None,) * len(_COLUMNS)
    texts, metadata, metadata_text = [r"\N"] * len(_COLUMNS), "", ""
    for record in records:
        row = {**_ABSENT, **record}
        for name, default in _DEFAULTS.items():
            if row[name] is None:
                row[name] = default
        values = _VALUES(row)
        # most values are the very object of the row before
        texts = [text if value is old else _text(value) for value, old, text in zip(values, before, texts, strict=True)]
        before = values
        if (shown := repr(row["static_metadata"])) != metadata:
            metadata, metadata_text = shown, _escaped(json_text(row["static_metadata"]))
        yield "\t".join([*texts, metadata_text]) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _escaped(value)
    if value is None:
        return r"\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        text = str(value)
        return text if "E" not in text.upper() else f"{Decimal(text):f}"  # as JSON's numbers become text
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)


def _pieces(all_lines: Iterator[str]) -> Iterator[str]:
    piece: list[str] = []
    for line in all_lines:
        piece.append(line)
        if len(piece) >= _PIECE:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)

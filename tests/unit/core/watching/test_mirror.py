"""When changed rows are not enough, and how rows are cut into statements."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.watching.mirror import (
    LedgerMoment,
    MirrorColumn,
    MirroredState,
    joined,
    reason_for_all,
)

COLUMNS = (MirrorColumn("id", "bigint"), MirrorColumn("key_x", "text"))
MOMENT = LedgerMoment("1/2/3/4", 100, 103, COLUMNS, datetime(2013, 3, 9, tzinfo=UTC))
LAST = MirroredState("1/2/3/4", 90, ("id bigint", "key_x text"), ("main", "orders"))


def test_what_is_remembered_is_what_the_next_cycle_compares() -> None:
    seen = MOMENT.seen_by(["orders", "main"])
    assert seen == replace(LAST, watermark=100)
    assert reason_for_all(seen, ["main", "orders"], MOMENT) is None


@pytest.mark.parametrize(
    ("last", "pipelines", "reason"),
    [
        (LAST, ["main", "orders"], None),
        (LAST, ["main"], None),
        (None, ["main"], "never mirrored before"),
        (replace(LAST, ledger="1/3/3/4"), ["main"], "another ledger: restored, rebuilt or rewritten"),
        (replace(LAST, watermark=103), ["main"], None),
        (replace(LAST, watermark=104), ["main"], "the ledger has gone back"),
        (replace(LAST, columns=("id bigint",)), ["main"], "the ledger has other columns: key_x text"),
        (replace(LAST, columns=("id integer", "key_x text")), ["main"], "the ledger has other columns: id bigint"),
        (replace(LAST, columns=(*LAST.columns, "old date")), ["main"], "the ledger has other columns: old date"),
        (replace(LAST, columns=LAST.columns[::-1]), ["main"], "the ledger has other columns: in another order"),
        (LAST, ["main", "new"], "more pipelines load there: new"),
    ],
)
def test_why_everything_is_mirrored(last: MirroredState | None, pipelines: list[str], reason: str | None) -> None:
    found = reason_for_all(last, pipelines, MOMENT)
    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)


@given(st.lists(st.text(max_size=40)), st.integers(0, 120))
def test_every_line_arrives_once_in_order_and_no_array_is_too_long(texts: list[str], most: int) -> None:
    lines = [json.dumps([text], ensure_ascii=False).encode("utf-8", "replace").decode() for text in texts]
    batches = list(joined(lines, most))
    assert [line for _, array in batches for line in json.loads(array)] == [json.loads(line) for line in lines]
    assert sum(count for count, _ in batches) == len(lines)
    assert all(count == 1 or len(array.encode()) <= most for count, array in batches)

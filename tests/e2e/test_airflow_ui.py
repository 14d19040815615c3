"""The DAG in Airflow's own UI, in a real browser: its documentation, its trigger form, its windows by local time."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import logged_in
from tests.e2e.conftest import Bench, hours

pytestmark = pytest.mark.e2e


def test_a_person_reads_the_docs_triggers_a_range_and_finds_its_windows(bench: Bench) -> None:
    window = hours("2013-03-12T02:00Z", "2013-03-12T04:00Z")
    with logged_in(bench.home) as page:
        page.goto(f"/dags/{bench.dag_id}")
        page.get_by_role("button", name="Dag Docs").click()
        manual = page.get_by_role("dialog")
        expect(manual).to_contain_text("Flights that left New York in 2013")
        expect(manual).to_contain_text("local time of America/New_York")
        page.keyboard.press("Escape")

        page.get_by_role("button", name="Trigger Dag").click()
        form = page.get_by_role("dialog")
        expect(form).to_contain_text("Exclusive end: 2013-03-10 (local)")
        expect(form.locator(".cm-editor, .monaco-editor").first).to_be_visible()  # windows: pairs need a JSON editor
        form.locator("#element_from").fill(window.start.isoformat())
        form.locator("#element_to").fill(window.end.isoformat())
        form.get_by_role("button", name="Trigger", exact=True).click()
        expect(form).to_be_hidden()

        run = bench.api.runs(bench.dag_id)[0]
        assert {name: run["conf"][name] for name in ("from", "to", "windows", "replace")} == {
            "from": window.start.isoformat(),
            "to": window.end.isoformat(),
            "windows": None,
            "replace": False,
        }
        assert bench.api.wait(bench.dag_id, run["dag_run_id"]) == "success"
        page.goto(f"/dags/{bench.dag_id}/runs/{run['dag_run_id']}/tasks/window.audit/mapped")
        for name in ("2013-03-11 22:00-04:00 → 23:00-04:00", "2013-03-11 23:00-04:00 → 2013-03-12 00:00-04:00"):
            expect(page.get_by_role("link", name=name)).to_be_visible()
    bench.assert_loaded(window)

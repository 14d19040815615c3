"""A real browser on the stack's Airflow, logged in as its administrator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from local_stack import airflow
from local_stack.home import Home
from local_stack.state import State

expect.set_options(timeout=30_000)

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def logged_in(home: Home) -> Iterator[Page]:
    """A page on Airflow's start page; its base address is the stack's."""
    state = State.load(home)
    with sync_playwright() as playwright:
        # the installed one; else the one that playwright has downloaded
        browser = playwright.chromium.launch(executable_path=_installed(), args=["--no-sandbox"])
        address, size = airflow.address(state), ViewportSize(width=1600, height=1400)
        page = browser.new_page(base_url=address, viewport=size, reduced_motion="reduce")
        page.goto("/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", state.secrets["airflow_admin"])
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        browser.close()


def _installed() -> str | None:
    found = (os.environ.get("CHROMIUM"), *map(shutil.which, NAMES))
    return next((path for path in found if path), None)

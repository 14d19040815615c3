"""E-mail on failure and on retry, as a pipeline's file asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from include.orchestration.defaults import default_args
from include.orchestration.notifications import email_notifiers
from tests.unit.tasks.world import config


@pytest.mark.parametrize(
    ("changes", "callbacks"),
    [
        ({}, set()),
        ({"email_list": ["a@example.org"]}, set()),
        ({"email_list": ["a@example.org"], "email_on_failure": True}, {"on_failure_callback"}),
        ({"email_list": ["a@example.org"], "email_on_retry": True}, {"on_retry_callback"}),
        (
            {"email_list": ["a@example.org"], "email_on_failure": True, "email_on_retry": True},
            {"on_failure_callback", "on_retry_callback"},
        ),
    ],
)
def test_the_file_decides_who_hears_of_what(changes: dict[str, Any], callbacks: set[str]) -> None:
    assert set(email_notifiers(config(**changes))) == callbacks
    arguments = default_args(config(**changes))
    assert {name for name in arguments if name.endswith("_callback")} == callbacks
    for name in callbacks:
        assert arguments[name].to == ["a@example.org"]
        assert "{{ exception | e }}" in arguments[name].html_content

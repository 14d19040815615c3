"""What a command logs."""

from __future__ import annotations

import pytest
import structlog

from include.cli.logs import logging_to_stderr


def test_a_logged_traceback_shows_no_variable(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(password: str) -> None:
        raise ValueError("no")

    with logging_to_stderr(is_verbose=True):
        try:
            fail("a" + "bc" * 3)
        except ValueError:
            structlog.get_logger().exception("it failed")
    printed = capsys.readouterr().err
    assert "ValueError: no" in printed
    assert "abcbcbc" not in printed

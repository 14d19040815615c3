"""`Retry-After`, as a number and as a date, and what says nothing."""

from __future__ import annotations

import httpx
import pytest

from include.pipeline_framework.core.time.delays import retry_after

DATE = "Thu, 01 Jan 1970 00:01:30 GMT"


@pytest.mark.parametrize(
    ("text", "now", "seconds"),
    [
        ("120", None, 120), (" 7 ", None, 7), ("0", 10.0, 0), ("999999999", None, 999_999_999),
        ("1234567890", None, None),
        (DATE, 60.0, 30), (DATE, 600.0, 0), (DATE, None, None),
        ("", 0.0, None), ("soon", 0.0, None), ("-5", 0.0, None), ("1.5", 0.0, None), ("٣", 0.0, None),
    ],
)  # fmt: skip
def test_the_seconds_of_the_header(text: str, now: float | None, seconds: float | None) -> None:
    assert retry_after({"retry-AFTER": text}, now=now) == seconds


@pytest.mark.parametrize("headers", [None, {}, {"Date": DATE}, httpx.Headers({"Date": DATE})])
def test_without_the_header_there_is_no_wait(headers: httpx.Headers | dict[str, str] | None) -> None:
    assert retry_after(headers, now=0.0) is None

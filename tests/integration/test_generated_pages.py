"""docs/ledger.md is what the migrated database says; `make check` compares docs/configuration.md, which needs none."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.cli.__main__ import main

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[2] / "docs/ledger.md"


def test_the_ledgers_page_is_up_to_date(ledger_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger_url
    assert main(["ledger", "describe"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8"), "run `make docs`"

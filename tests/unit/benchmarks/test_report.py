"""The benchmarks' tables, pictures and page, from made figures."""

from __future__ import annotations

import importlib
import subprocess
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.__main__ import MODULES
from benchmarks.builds import REPO, answer, checkout
from benchmarks.comparison import Comparison, Measured
from benchmarks.report import Machine, write
from benchmarks.tables import UNKNOWN, header, lines, ratio_text, references, show

MACHINE = Machine(2, 23.6, (0.5, 2.25), datetime(2026, 11, 30, 12, 5, tzinfo=UTC), "Linux x86_64, Python 3.11.7")
COMPARISON = Comparison(
    name="Rows | moved",
    per="a million rows",
    command="python -m benchmarks.rows",
    rows=[
        Measured("ours", "product", {"wall s": 6.0, "CPU-s": 3.0}),
        Measured("ours", "before", {"wall s": 12.0, "CPU-s": 4.5}),
        Measured("bare copy", "floor", {"wall s": 4.0}),
        Measured("slow tool", "peer", {"wall s": 600.0}),
        Measured("quick tool & co", "peer", {"wall s": 8.0}),
        Measured("without figures", "tried", {"CPU-s": 1.0}),
    ],
    figure="wall s",
    notes=["Both ends agree."],
)


def test_a_row_is_compared_with_the_floor_the_build_before_and_the_best_peer() -> None:
    assert {role: row.what for role, row in references(COMPARISON).items()} == {
        "floor": "bare copy",
        "before": "ours",
        "peer": "quick tool & co",
    }
    assert header(COMPARISON) == ["what", "wall s", "CPU-s", "× floor", "× before", "× peer"]
    assert list(lines(COMPARISON)) == [
        ["product: ours", "6", "3", "1.50", "0.50", "0.75"],
        ["before: ours", "12", "4.50", "3.00", "1.00", "1.50"],
        ["floor: bare copy", "4", UNKNOWN, "1.00", "0.33", "0.50"],
        ["peer: slow tool", "600", UNKNOWN, "150", "50", "75"],
        ["peer: quick tool & co", "8", UNKNOWN, "2.00", "0.67", "1.00"],
        ["tried: without figures", UNKNOWN, "1", UNKNOWN, UNKNOWN, UNKNOWN],
    ]


@pytest.mark.parametrize(("ratio", "text"), [(None, UNKNOWN), (0.126, "0.13"), (9.99, "9.99"), (1234.5, "1,234")])
def test_a_ratio_has_as_many_digits_as_count(ratio: float | None, text: str) -> None:
    assert ratio_text(ratio) == text


def test_the_tables_are_printed() -> None:
    console = Console(file=StringIO(), width=160)
    show([COMPARISON], console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "for a million rows" in printed
    assert "Both ends agree." in printed


def test_the_page_has_tables_machine_commands_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "of-an-earlier-run.svg").write_text("<svg/>")
    page = write(tmp_path, {"rows": [COMPARISON]}, MACHINE, is_short=True, base="abc1234").read_text(encoding="utf-8")
    assert "this is the short form" in page
    assert "`abc1234`" in page
    assert "Measured 2026-11-30 12:05 UTC on 2 cores with 24 GiB (Linux x86_64, Python 3.11.7)" in page
    assert "load 0.5 when it began, 2.2 when it ended" in page
    assert "For a million rows: `python -m benchmarks.rows`" in page
    assert "| product: ours | 6 | 3 | 1.50 | 0.50 | 0.75 |" in page
    assert "| --- | ---: | ---: | ---: | ---: | ---: |" in page
    assert [path.name for path in (tmp_path / "benchmarks").iterdir()] == ["rows-rows-moved.svg"]
    assert "(benchmarks/rows-rows-moved.svg)" in page


def test_a_picture_has_a_bar_for_each_row_with_the_figure_as_long_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, {"rows": [COMPARISON]}, MACHINE, is_short=False, base=None)
    root = ElementTree.parse(tmp_path / "benchmarks" / "rows-rows-moved.svg").getroot()  # noqa: S314 - our own file
    names = {"svg": "http://www.w3.org/2000/svg"}
    widths = [float(bar.attrib["width"]) for bar in root.findall("svg:rect", names)]
    assert widths == [pytest.approx(300 * seconds / 600, abs=0.1) for seconds in (6, 12, 4, 600, 8)]
    texts = [text.text or "" for text in root.findall("svg:text", names)]
    assert "peer: quick tool & co" in texts
    assert "6 (1.50 × floor)" in texts


def test_every_benchmark_of_the_list_measures() -> None:
    for name in MODULES:
        assert callable(importlib.import_module(f"benchmarks.{name}").measure)


def test_code_runs_with_the_modules_of_one_build(tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "__init__.py").write_text("BUILD = 'made'")
    assert answer(
        "import include, json, sys; print(json.dumps([include.BUILD, sys.argv[1]]))", "x", build=tmp_path
    ) == [
        "made",
        "x",
    ]
    with pytest.raises(RuntimeError, match="no such thing"):
        answer("raise SystemExit('no such thing')", build=tmp_path)


def test_a_checkout_is_gone_afterwards() -> None:
    def worktrees() -> str:
        return subprocess.run(
            ["git", "-C", str(REPO), "worktree", "list"], capture_output=True, text=True, check=True
        ).stdout

    with checkout("HEAD") as path:
        assert (path / "include" / "__init__.py").is_file()
        assert str(path) in worktrees()
    assert not path.exists()
    assert str(path) not in worktrees()

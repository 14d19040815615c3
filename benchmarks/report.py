"""Writes `docs/BENCHMARKS.md` and its pictures from what the benchmarks have measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from benchmarks.charts import bar_chart
from benchmarks.comparison import Comparison
from benchmarks.tables import header, lines

_INTRODUCTION = """# Benchmarks

`make bench` writes this page ({form}; `make bench FULL=1` is the long one). Every table compares ways to do the same
work in one run on one machine: *product* is this build, *before* an older one ({base}), *floor* the least that the work
can take, a *peer* another tool that does it, *tried* a variant of the product that lost. `×` columns are ratios of the
first figure: read those, since the figures themselves are the machine's.

"""


@dataclass(frozen=True)
class Machine:
    """Where and when the benchmarks ran.

    Attributes:
        cores: Logical ones.
        memory_gib: Of the machine.
        load: How many processes wanted to run, on average of the minute before the first benchmark and of the last.
        at: When they began.
        system: Operating system, and version of Python.
    """

    cores: int
    memory_gib: float
    load: tuple[float, float]
    at: datetime
    system: str

    def sentence(self) -> str:
        """Return the machine in one sentence."""
        first, last = self.load
        return (
            f"Measured {self.at:%Y-%m-%d %H:%M} UTC on {self.cores} cores with {self.memory_gib:.0f} GiB "
            f"({self.system}); load {first:.1f} when it began, {last:.1f} when it ended."
        )


def this_machine(at: datetime, load_before: float) -> Machine:
    """Return the machine that this process runs on, with the load of the last minute."""
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        load=(load_before, os.getloadavg()[0]),
        at=at,
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )


def write(
    docs: Path, results: Mapping[str, list[Comparison]], machine: Machine, *, is_short: bool, base: str | None
) -> Path:
    """Write `BENCHMARKS.md` and `benchmarks/*.svg` into a folder; pictures of an earlier run are removed.

    Args:
        docs: The folder.
        results: The comparisons by the benchmark's name, in the order of the page.
        machine: Where they were measured.
        is_short: Which form was run.
        base: The revision of the build before; None when there was none.
    """
    pictures = docs / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    form = "this is the short form" if is_short else "this is the long form"
    parts = [_INTRODUCTION.format(form=form, base=f"`{base}`" if base else "left out here"), machine.sentence(), "\n"]
    for benchmark, comparisons in results.items():
        for comparison in comparisons:
            drawn = {comparison.figure: bar_chart(comparison), **comparison.pictures}
            files = dict[str, Path]()
            for title, svg in drawn.items():
                more = "" if title == comparison.figure else f"-{_slug(title)}"
                files[title] = pictures / f"{benchmark}-{_slug(comparison.name)}{more}.svg"
                files[title].write_text(svg, encoding="utf-8")
            parts.append(_section(comparison, {title: file.relative_to(docs) for title, file in files.items()}))
    page = docs / "BENCHMARKS.md"
    page.write_text("".join(parts), encoding="utf-8")
    return page


def _section(comparison: Comparison, pictures: Mapping[str, Path]) -> str:
    titles = header(comparison)
    rows = [titles, ["---", *("---:" for _ in titles[1:])], *lines(comparison)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows)
    notes = "".join(f"{note}\n" for note in comparison.notes)
    shown = "\n\n".join(f"![{title}]({file.as_posix()})" for title, file in pictures.items())
    return (
        f"\n## {comparison.name}\n\nFor {comparison.per}: `{comparison.command}`\n\n{table}\n\n{notes}"
        f"{chr(10) if notes else ''}{shown}\n"
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")

"""The command line of one benchmark: `python -m benchmarks.<name> [--full] [--base REVISION | --no-base]`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks.builds import BASE, checkout
from benchmarks.comparison import Comparison
from benchmarks.tables import show


class Measure(Protocol):
    """What every benchmark's module has under the name `measure`."""

    def __call__(self, *, is_short: bool, base: Path | None) -> list[Comparison]:
        """Measure all ways in one run."""


def options(description: str) -> argparse.ArgumentParser:
    """Return what every command of the benchmarks understands."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the long form, with all of the work")
    parser.add_argument("--base", default=BASE, metavar="REVISION", help="the build to compare with (%(default)s)")
    parser.add_argument("--no-base", action="store_true", help="compare with no other build")
    return parser


@contextmanager
def base_of(given: argparse.Namespace) -> Iterator[Path | None]:
    """Yield a checkout of the build that was asked for, None when there is to be none."""
    if given.no_base:
        yield None
        return
    with checkout(given.base) as path:
        yield path


def main(measure: Measure, description: str) -> None:
    """Measure, and print the tables."""
    given = options(description).parse_args()
    with base_of(given) as base:
        show(measure(is_short=not given.full, base=base))

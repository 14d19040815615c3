"""A second set of time zone rules, beside the pinned package `tzdata`: one in which Vancouver still changes its clocks.

Since 2026 British Columbia stays at UTC-7: 1 November 2026 has 24 hours, and every day after it begins at 07:00Z. By
the other set, whose Vancouver has the clock of Los Angeles, it has 25, and they begin at 08:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import tzdata

from include.pipeline_framework.core.time import zone_rules

VANCOUVER = "America/Vancouver"
PINNED = tzdata.IANA_VERSION
OLDER, NEWER = "2025b", "2099a"
"""What the other set calls itself, as the case may be."""


def write_other_rules(folder: Path) -> Path:
    """Zone files of the other set; every zone but Vancouver is the package's."""
    losing = resources.files("tzdata.zoneinfo.America").joinpath("Los_Angeles").read_bytes()
    (folder / "America").mkdir(parents=True, exist_ok=True)
    (folder / VANCOUVER).write_bytes(losing)
    return folder


@contextmanager
def other_rules(folder: Path, version: str = OLDER) -> Iterator[None]:
    """This process has the other rules for the time of a `with` block."""
    zone_rules.use(version, [str(write_other_rules(folder))])
    try:
        yield
    finally:
        zone_rules.use_pinned()

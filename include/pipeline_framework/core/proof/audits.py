"""Judge the numbers of a window: it was loaded right, has late data, or is corrupt."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from include.pipeline_framework.core.proof.fingerprints import Fingerprint


@dataclass(frozen=True, slots=True)
class LateDataTolerance:
    """Limits how far the source may have moved since the extract and still be late data; both bounds are inclusive.

    `percent` is of the staged rows. A difference is tolerated when either bound allows it.
    """

    rows: int = 0
    percent: float = 0.0

    def allows(self, difference: int, staged_rows: int) -> bool:
        """True when a difference (in rows, either sign) is within the tolerance."""
        return abs(difference) <= max(self.rows, staged_rows * self.percent / 100)


@dataclass(frozen=True, slots=True)
class AuditNumbers:
    """The numbers that an audit measured.

    Attributes:
        staged: The manifest's fingerprint; None when the ledger has none, which no target equals.
        loaded: The fingerprint that the publish took in its own transaction; None likewise.
        target: The fingerprint of the rows that the target holds now.
        source_count: The source's count now.
        quarantined: Count of documents put aside instead of into the target.
        undated_count: Count of documents of the source without a usable time; they belong to no window.
    """

    staged: Fingerprint | None
    loaded: Fingerprint | None
    target: Fingerprint
    source_count: int
    quarantined: int = 0
    undated_count: int = 0

    @property
    def count_difference(self) -> int:
        """Return source rows now minus target rows and quarantined ones; positive when the target has fewer."""
        return self.source_count - self.target.rows - self.quarantined

    @property
    def percentage_difference(self) -> Decimal | None:
        """Return `count_difference` in percent of the source's rows; None when the source has none."""
        return percentage_of(self.count_difference, self.source_count)

    def columns(self) -> dict[str, Any]:
        """Return the ledger's audit columns."""
        return {
            "source_count": self.source_count,
            "target_count": self.target.rows,
            "target_fingerprint": self.target.hash_sum,
            "count_difference": self.count_difference,
            "percentage_difference": self.percentage_difference,
            "undated_count": self.undated_count,
        }


def percentage_of(count_difference: int, source_count: int) -> Decimal | None:
    """Return a difference in percent of the source's rows, as the ledger has it; None when the source has none.

    >>> percentage_of(1, 3), percentage_of(0, 0)
    (Decimal('33.3333'), None)
    """
    return round(Decimal(count_difference) * 100 / source_count, 4) if source_count else None


class AuditOutcome(Enum):
    """Says what is done with a window after its audit."""

    PASSED = "passed"
    PASSED_LATE_DATA = "passed, revisit due"
    REOPEN = "reopen for late data"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditDecision:
    """An outcome and the sentence that explains it."""

    outcome: AuditOutcome
    reason: str = ""


def decide(numbers: AuditNumbers, tolerance: LateDataTolerance, *, reopened_before: bool) -> AuditDecision:
    """Require that manifest, load and target agree in count and fingerprint, else FAILED; then judge the source.

    A source that keeps changing never ends FAILED: the second time it is late data, whatever the difference.

    >>> same = Fingerprint.of(["a"])
    >>> decide(AuditNumbers(same, same, same, source_count=1), LateDataTolerance(), reopened_before=False).outcome
    <AuditOutcome.PASSED: 'passed'>
    """
    if not numbers.staged == numbers.loaded == numbers.target:
        return AuditDecision(
            AuditOutcome.FAILED,
            f"manifest, load and target disagree: staged {numbers.staged}; loaded {numbers.loaded}; "
            f"target {numbers.target}",
        )
    moved = numbers.count_difference
    if moved == 0:
        return AuditDecision(AuditOutcome.PASSED)
    text = f"the source has {moved:+d} rows since the extract ({numbers.target.rows} staged)"
    if reopened_before or tolerance.allows(moved, numbers.target.rows):
        return AuditDecision(AuditOutcome.PASSED_LATE_DATA, text)
    return AuditDecision(AuditOutcome.REOPEN, text)

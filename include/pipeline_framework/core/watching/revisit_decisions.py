"""Decide whether a closed window that no longer is what the ledger says is loaded again or waits for a person.

More rows at the source are loaded without asking. A load that would delete loaded rows is done automatically only
within a small limit, and never when the source no longer has the parts that the window was loaded from: then fewer or
other rows are more likely hidden than deleted. A person also decides when the target does not hold what was loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit, lost_parts
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.core.watching.late_data import Change, Kind, loaded
from include.pipeline_framework.errors import ApprovalNeededError

_MAX_NAMED = 5


@dataclass(slots=True)
class Yes:
    """The things that a person has agreed to, for one run.

    Attributes:
        vanished_rows: The number of rows that may still be deleted; it sinks with every window.
        emptied: Windows whose source holds nothing any more may be emptied.
        target: Windows whose target does not hold what was loaded are loaded again.
    """

    vanished_rows: int = 0
    emptied: bool = False
    target: bool = False

    def covers(self, rows: int) -> bool:
        """True when `rows` more rows are within what was agreed to; they are used up then."""
        if not 0 < rows <= self.vanished_rows:
            return False
        self.vanished_rows -= rows
        return True


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one changed window.

    Attributes:
        change: The change that was found.
        held: Why the window waits for a person; empty when it is loaded again.
        rows: Loaded rows that a held window would delete, or that its target has lost or changed.
        columns: Columns of its replacement that say what it may delete.
    """

    change: Change
    held: str = ""
    rows: int = 0
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_of_target(self) -> bool:
        """True when the target differs; otherwise the source does."""
        return self.change.kind is Kind.TARGET_DIFFERS


def decide_changes(
    changes: Sequence[Change], rows_loaded: int, limit: VanishedDataLimit, there_now: Mapping[str, str], yes: Yes
) -> list[Decision]:
    """Judge the changed windows that were compared together, usually those of one day.

    Args:
        changes: The changes, in order of their windows.
        rows_loaded: Rows of all windows that were compared, changed or not; the limit is a share of them.
        limit: `vanished_data_limit`.
        there_now: The parts that the source has now.
        yes: The things that a person has agreed to.
    """
    gone = sum(_gone(change) for change in changes if not change.has_emptied)
    allowed = limit.of(rows_loaded)
    return [_decide(change, gone, allowed, there_now, yes) for change in changes]


def approval_needed(
    held: Sequence[Decision], pipeline_id: str, source_object: str, timezone: str
) -> ApprovalNeededError:
    """Return the alarm: which windows, how many rows, why, and how to say yes or no."""
    windows = [one.change.row.window for one in held]
    named = [
        f"{window.local_label(timezone)}: {one.change.text} ({one.held})"
        for window, one in zip(windows[:_MAX_NAMED], held, strict=False)
    ]
    more = f" and {len(held) - _MAX_NAMED} more" if len(held) > _MAX_NAMED else ""
    ends = {"from": iso_utc(windows[0].start), "to": iso_utc(max(window.end for window in windows))}
    of_source = [one for one in held if not one.is_of_target]
    answers: list[tuple[dict[str, Any], str]] = []
    if of_source:
        answers.append(({"accept_vanished": sum(one.rows for one in of_source)}, "lets the rows go"))
        answers.append(({"keep_vanished": True}, "keeps what is loaded"))
    if len(of_source) < len(held):
        answers.append(({"reload_target": True}, "loads the target again"))
    common = {"pipelines": [pipeline_id], **ends, "reason": "…"}
    said = "; ".join(f"{json.dumps({**common, **conf}, ensure_ascii=False)} {what}" for conf, what in answers)
    return ApprovalNeededError(
        f"{len(held)} windows wait for a person, {sum(one.rows for one in held)} rows are at stake: "
        f"{'; '.join(named)}{more}",
        where=source_object,
        meaning="They were left as they are; everything else was compared, and what had changed there was replaced",
        remedy=f"If the source hides rows, mend it: the next run finds them. Else trigger audit_windows with {said}.",
    )


def _decide(change: Change, gone: int, allowed: int, there_now: Mapping[str, str], yes: Yes) -> Decision:
    if change.kind is Kind.TARGET_DIFFERS:
        if yes.target:
            return Decision(change, columns={"is_removal_approved_flag": True})
        return Decision(change, "rows were lost or changed in the target", abs(change.was - change.now) or change.was)
    lost = lost_parts(change.row.source_parts, there_now)
    if change.has_emptied and yes.emptied:
        return Decision(change, columns={"removable_count": change.was})
    why, rows = "", _gone(change)
    if change.has_emptied:
        why = "; ".join(["the source holds nothing of it any more", *lost])
    elif lost:  # how many of the loaded rows are still among the present ones is not known
        why, rows = f"it was loaded from other parts: {', '.join(lost)}", loaded(change.row).target_rows or change.was
    elif change.kind is Kind.VANISHED_DATA and gone > allowed:
        why = f"{gone} rows would be gone there, {allowed} may go without a person's yes"
    if why and not yes.covers(rows):
        return Decision(change, why, rows)
    # an id that vanishes while another one appears is not counted here, but by the load
    return Decision(change, columns={"removable_count": rows if why else max(rows, allowed - gone)})


def _gone(change: Change) -> int:
    return change.was - change.now if change.kind is Kind.VANISHED_DATA else 0

"""Rebuild a lost ledger from the target's receipts and the stage's manifests.

The order is floor, sequence, rows. Once the floor is in the target, no earlier start can write there, and all that such
a start has committed is among the receipts that are read next. Once the sequence is above the floor, new starts can
write. A death at any point leaves work undone, but nothing wrong; run it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.proof.receipts import Receipt
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.restoring import rebuild
from include.pipeline_framework.core.restoring.rebuild import Proof, Verdict
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import TornStageError
from include.pipeline_framework.ports.ledger import RestoredRow
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.pipeline import Pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebuildLine:
    """One receipt or manifest and its outcome, which begins with `rebuilt`, `would be rebuilt` or `not`."""

    source_object: str
    window: str
    rows: int | None
    fence: int | None
    origin: str
    outcome: str


@dataclass(slots=True)
class RebuildReport:
    """The result of rebuilding one source object.

    Attributes:
        source_object: The source object of the rows.
        applied: False when nothing was changed.
        floor: Fences below it are (would be) refused by the target; the ledger's start above it.
        rebuilt: Rows that were (would be) inserted.
        in_ledger: Proven windows that live rows cover already.
        lines: All other proofs, in order.
    """

    source_object: str
    applied: bool
    floor: int
    rebuilt: int = 0
    in_ledger: int = 0
    lines: list[RebuildLine] = field(default_factory=list)

    def add(self, proof: Proof, outcome: str) -> None:
        """Add one more line."""
        self.lines.append(
            RebuildLine(self.source_object, str(proof.window), proof.rows, proof.fence, proof.origin, outcome)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@log_execution("ledger rebuilt", pipeline="pipeline.config.pipeline_id", applied="apply")
def rebuild_ledger(pipeline: Pipeline, actor: Actor, *, apply: bool = False) -> RebuildReport:
    """Enter each window that the target or stage proves and no live row covers; a second call inserts nothing.

    The pipeline's next run audits what was loaded and loads what was staged. Everything else is reported with the
    reason: deletes and superseded receipts, windows outside the horizon or across local days, torn manifests.

    Args:
        pipeline: The pipeline of the rows; its source is not asked.
        actor: The one that rebuilds.
        apply: When False, only report. True also cuts off every task that runs now: its fence is below the new floor.
    """
    store, target, source_object = pipeline.store, pipeline.target, pipeline.config.source_object
    if apply:
        target.prepare(source_object)
    before = target.receipts(source_object)
    manifests, torn = _unnamed_manifests(pipeline.stage, source_object, before)
    known = [*(receipt.fence for receipt in before), *(manifest.fence for manifest in manifests)]
    fences = [target.fence_floor(source_object), store.last_fence(), *known]
    report = RebuildReport(source_object, apply, rebuild.fence_floor(fences), lines=torn)
    if apply:
        target.raise_floor(source_object, report.floor)
    receipts = target.receipts(source_object)
    ids = [*(receipt.lifecycle_id for receipt in receipts), *(manifest.lifecycle_id for manifest in manifests)]
    if apply:
        store.raise_sequences(fence=report.floor, record_id=rebuild.id_floor(ids))
    loads, others = rebuild.proving(receipts)
    for receipt, why in others:
        report.add(_of_receipt(receipt), f"not: {why}")
    proofs = [*map(_of_receipt, loads), *map(_of_manifest, manifests)]
    verdicts = rebuild.judge(
        proofs,
        receipts,
        _live_windows(pipeline, proofs),
        store.known_ids(ids),
        lambda window: _refusal(pipeline.config, window),
    )
    _restore(pipeline, verdicts, {receipt.window: receipt for receipt in loads}, actor, report)
    report.lines.sort(key=lambda line: (line.window, line.origin, line.fence or 0))
    _log.info("rebuilt %s", {**report.as_dict(), "lines": len(report.lines)})
    return report


def _restore(
    pipeline: Pipeline,
    verdicts: Iterable[Verdict],
    loads: dict[TimeWindow, Receipt],
    actor: Actor,
    report: RebuildReport,
) -> None:
    chosen = []
    for verdict in verdicts:
        report.in_ledger += verdict.is_in_ledger
        if not verdict.refusal:
            chosen.append(_with_manifest(pipeline.stage, verdict, loads))
        elif not verdict.is_in_ledger:
            report.add(verdict.proof, f"not: {verdict.refusal}")
    refused: set[Any] = set()
    if report.applied:
        rows = [_row(pipeline.config, verdict, report.floor) for verdict in chosen]
        refused = {row["query_window_start_at"] for row in pipeline.store.restore(rows, actor).refused}
    done = "rebuilt" if report.applied else "would be rebuilt"
    for verdict in chosen:
        if verdict.proof.window.start in refused:
            outcome = "not: a row was planned there, or its id given away, meanwhile; run this again"
        else:
            outcome = f"{done}, resumes {verdict.resumes}"
            report.rebuilt += 1
        report.add(verdict.proof, outcome)


def _row(config: PipelineConfig, verdict: Verdict, floor: int) -> RestoredRow:
    """Use the floor as fence, which no start ever got: under the proof's own one an earlier start could write."""
    proof = verdict.proof
    record = planned_row(config.final_config(), proof.window, deriving) | verdict.columns | {"fence": floor}
    numbers = {"lifecycle_id": proof.lifecycle_id, "fence": proof.fence, "rows": proof.rows, **proof.columns}
    return RestoredRow(record, verdict.reason, numbers)


def _unnamed_manifests(
    stage: Stage, source_object: str, receipts: Iterable[Receipt]
) -> tuple[list[Manifest], list[RebuildLine]]:
    """Return the manifests that no receipt names (the others are not read), and a line for each unreadable one."""
    named = {receipt.manifest for receipt in receipts}
    manifests, torn = [], []
    for location in stage.locations(source_object):
        if location in named:
            continue
        try:
            manifests.append(stage.read_manifest(location, is_checked=False))
        except TornStageError as error:
            torn.append(RebuildLine(source_object, location, None, None, rebuild.MANIFEST, f"not: {error.what}"))
    return manifests, torn


def _live_windows(pipeline: Pipeline, proofs: Iterable[Proof]) -> list[TimeWindow]:
    windows = [proof.window for proof in proofs]
    if not windows:
        return []
    span = TimeWindow(min(window.start for window in windows), max(window.end for window in windows))
    return pipeline.store.live_windows(pipeline.config.source_object, span)


def _refusal(config: PipelineConfig, window: TimeWindow) -> str | None:
    day = local_day_of(window.start, config.timezone)
    if window.end > day.end:
        return f"it goes beyond the local day {day} of {config.timezone}"
    return config.horizon.refusal(day)


def _with_manifest(stage: Stage, verdict: Verdict, loads: dict[TimeWindow, Receipt]) -> Verdict:
    """Return a receipt's verdict with the facts of its manifest, if that still exists."""
    proof = verdict.proof
    if proof.origin != rebuild.RECEIPT or not verdict.keeps_id:
        return verdict
    location = loads[proof.window].manifest
    try:
        manifest = stage.read_manifest(location, is_checked=False) if location else None
    except TornStageError:
        return verdict
    if manifest is None:
        return verdict
    return replace(verdict, proof=replace(proof, columns={**proof.columns, **manifest.columns()}))


def _of_receipt(receipt: Receipt) -> Proof:
    """Take rows and hash sum from the receipt, which has the manifest's: so the audit has them without the manifest."""
    numbers = receipt.fingerprint
    columns = {
        "staged_count": numbers.rows,
        "staged_fingerprint": numbers.hash_sum,
        "loaded_count": numbers.rows,
        "loaded_fingerprint": numbers.hash_sum,
        "stage_to_target_ingestion_end_time": receipt.written_at,
    }
    return Proof(rebuild.RECEIPT, receipt.window, receipt.fence, receipt.lifecycle_id, numbers.rows, columns)


def _of_manifest(manifest: Manifest) -> Proof:
    return Proof(
        rebuild.MANIFEST,
        manifest.window,
        manifest.fence,
        manifest.lifecycle_id,
        manifest.fingerprint.rows,
        manifest.columns(),
    )

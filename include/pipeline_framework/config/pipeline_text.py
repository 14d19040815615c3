"""Write the YAML text of a new pipeline: every proposed value, and above it the reason."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from include.pipeline_framework.core.proposing.columns import ProposedColumn
from include.pipeline_framework.core.proposing.description import SourceDescription
from include.pipeline_framework.core.proposing.proposal import Proposal
from include.pipeline_framework.core.proposing.windows import megabytes
from include.pipeline_framework.core.texts import counted

_WIDTH = 116


@dataclass(frozen=True, slots=True)
class NewPipeline:
    """A new pipeline: where it reads, stages and loads, what was seen of its source, and what follows from that.

    Attributes:
        pipeline_id: Its id, and its `source_object`.
        source: The section `source`, as the file writes it; `stage` and `target` likewise, without the columns.
        seen: What was seen.
        proposal: What was proposed.
        looked_at: When the source was looked at.
    """

    pipeline_id: str
    source: Mapping[str, Any]
    stage: Mapping[str, Any]
    target: Mapping[str, Any]
    seen: SourceDescription
    proposal: Proposal
    looked_at: datetime


def pipeline_text(new: NewPipeline) -> str:
    """Return the text of its file."""
    return "\n".join(_lines(new)) + "\n"


def seen_of(seen: SourceDescription) -> dict[str, str]:
    """Return what was seen of a source in a few words each."""
    days, rows = seen.days, f"{'about ' if seen.is_estimated else ''}{seen.rows:,}"
    found = {"rows": rows + (" (extrapolated from a part of the table)" if seen.is_estimated else "")}
    if days:
        busiest = max(days, key=lambda day: day.rows)
        found["days"] = (
            f"{len(days):,} with rows, {days[0].day} to {days[-1].day} ({seen.timezone}); "
            f"{counted(round(seen.rows / len(days)), 'row')} on average, {busiest.rows:,} on {busiest.day}"
        )
    if seen.undated:
        found["undated"] = f"{counted(seen.undated, 'row')} without a usable {seen.time_field}: in no window"
    found["sample"] = (
        f"{counted(len(seen.sample), 'document')} from all over that time, {megabytes(seen.mean_bytes)} each on average"
        if seen.sample
        else "no documents: types of columns are those of the mapping, check them when there are some"
    )
    if seen.unreadable:
        found["unreadable"] = f"{counted(seen.unreadable, 'document')} of no plain JSON (with comments, for example)"
    return found | ({"note": seen.note} if seen.note else {})


def _lines(new: NewPipeline) -> Iterator[str]:
    seen, proposal = new.seen, new.proposal
    at = f"{new.looked_at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
    yield "# yaml-language-server: $schema=./pipeline.schema.json"
    yield "#"
    yield from _comment(f"What was seen of {seen.shape.name} at {at}; a value without a reason is the usual one:")
    for name, words in seen_of(seen).items():
        yield from _comment(f"{name}: {words}", hanging="  ")
    yield from _comment("What is not given here comes from defaults.yaml.")
    yield from _comment("The DAG comes paused in Airflow. With `enabled: false` nothing would be planned either.")
    yield "enabled: true"
    yield f"source_object: {flow_text(new.pipeline_id)}"
    yield ""
    yield f"timezone: {flow_text(seen.timezone)}"
    for key, chosen in (("granularity", proposal.granularity), ("x_time_back", proposal.x_time_back)):
        yield from _comment(chosen.reason)
        yield f"{key}: {flow_text(chosen.value)}"
    yield from _comment(proposal.start_reason)
    yield f"start_date: {proposal.start_date}"
    yield from _comment("Days are planned when somebody asks for them, and today; true: every day since start_date.")
    yield "fill_missing_days: false"
    yield from _comment(
        "Hourly whatever the windows are: a run that has nothing to load skips, and one that failed is made up for."
    )
    yield 'cron_schedule: "0 * * * *"'
    for role, section in (("source", new.source), ("stage", new.stage), ("target", new.target)):
        yield ""
        yield f"{role}:"
        for key, value in section.items():
            yield f"  {key}: {flow_text(value)}"
        if role == "target" and section["type"] == "snowflake" and "database" not in section:
            yield "  # database and schema are the connection's own"
    yield from _column_lines(proposal)


def _column_lines(proposal: Proposal) -> Iterator[str]:
    yield "  # The whole document is in the column doc, typed columns or not."
    yield "  columns:" if proposal.columns else "  columns: {}"
    for column in proposal.columns:
        reason = f"  # {_one_line(column.reason)}" if column.reason else ""
        yield f"    {flow_text(column.name)}: {_column(column)}{reason}"
    if proposal.left_out:
        yield "    # in doc only:"
    for left in proposal.left_out:
        yield f"    #   {_one_line('.'.join(left.path))}: {_one_line(left.reason)}"


def _column(column: ProposedColumn) -> str:
    rule: dict[str, Any] = {"type": column.type}
    if column.path != (column.name,):
        rule["path"] = list(column.path) if any("." in key for key in column.path) else ".".join(column.path)
    if column.unit:
        rule["format"] = column.unit
    return flow_text(rule if len(rule) > 1 else column.type)


def flow_text(value: Any) -> str:
    """Return a value as YAML on one line, in quotes where it would be read as another one."""
    return yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6)[1:-2]


def _comment(text: str, hanging: str = "") -> list[str]:
    return [
        f"# {line}"
        for line in textwrap.wrap(_one_line(text), _WIDTH, initial_indent=hanging, subsequent_indent=hanging)
    ]


def _one_line(text: str) -> str:
    """Return a text that can stand in a comment: names of fields may have any character."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)

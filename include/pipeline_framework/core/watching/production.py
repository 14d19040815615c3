"""What works on one machine and is missing for production: people, alarms, real servers, a password of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from include.pipeline_framework.core.watching.verdicts import Findings

_GUESSABLE = frozenset({"password", "postgres", "admin", "airflow", "changeme", "secret", "elastic", "minioadmin"})


@dataclass(frozen=True, slots=True)
class Exposure:
    """What of a connection is not fit for production.

    Attributes:
        connection_id: Airflow's.
        is_here: It leads to this machine: a local server, or an emulator.
        is_guessable: Its password is one that everybody tries first.
    """

    connection_id: str
    is_here: bool
    is_guessable: bool


def is_guessable(login: str, password: str) -> bool:
    """Return whether a password is the login, or one of those that everybody tries first; "" is none.

    >>> is_guessable("loader", "Loader"), is_guessable("loader", "fo8-Wt_2x")
    (True, False)
    """
    return bool(password) and password.casefold() in {*_GUESSABLE, login.casefold()}


def judge(
    found: Findings, *, has_people: bool, has_alarm: bool, local_stage: str | None, exposures: Iterable[Exposure]
) -> None:
    """Add a warning for each thing that is missing.

    Args:
        found: Takes the warnings, or one verdict that nothing is missing.
        has_people: `email_list` has somebody.
        has_alarm: `overdue_after` is set.
        local_stage: The stage's local directory; None: it is no directory.
        exposures: Of the connections that the pipeline uses.
    """
    before = len(found.verdicts)
    if not has_people:
        found.warning("people", "email_list is empty: nobody is mailed", "Set email_list in the pipeline's file.")
    if not has_alarm:
        said = "overdue_after is not set: a window that is never loaded raises no alarm"
        found.warning("alarm", said, "Set overdue_after (for example 6h), and unpause check_overdue_windows.")
    if local_stage:
        said = "the stage is a directory: every worker needs the same disk"
        found.warning("stage", said, "Stage to a bucket (bucket and connection_id under stage).")
    for exposure in exposures:
        if exposure.is_here:
            said = f"{exposure.connection_id} leads to this machine: a local server, or an emulator"
            found.warning("servers", said, f"Let {exposure.connection_id} name the real server.")
        if exposure.is_guessable:
            said = f"the password of {exposure.connection_id} is one that everybody tries first"
            found.warning("passwords", said, "Set another password at the server and in the connection.")
    if len(found.verdicts) == before:
        found.ok("production", "nothing is missing")

"""What the data of a stack's CRM is a function of, in a file beside it: a restart, or another day, changes no row."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from local_stack.crm.reports import Data
from local_stack.errors import LocalStackError
from local_stack.home import Home, write_private


def kept_data(home: Home, *, today: date) -> Data:
    """What was kept; on the first call, the defaults, with `today` as the date on which the youngest store may open."""
    file = _file(home)
    if not file.exists():
        keep(home, Data(today))
    try:
        return Data(today).changed(json.loads(file.read_text()))
    except (ValueError, TypeError, AttributeError) as error:
        raise LocalStackError(
            f"{file} can't be read ({error}).", "Delete it; the CRM then has its usual data again."
        ) from error


def keep(home: Home, data: Data) -> None:
    """Write it for the next start."""
    _file(home).parent.mkdir(exist_ok=True, mode=0o700)
    write_private(_file(home), json.dumps(data.as_json()) + "\n")


def _file(home: Home) -> Path:
    return home.path / "crm" / "data.json"

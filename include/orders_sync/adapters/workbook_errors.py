"""Why a workbook can't be read."""

from __future__ import annotations


class WorkbookError(ValueError):
    """A workbook can't be read; the message says why, without its content."""


class TooManyRowsError(WorkbookError):
    """A row number is beyond the end of every worksheet."""

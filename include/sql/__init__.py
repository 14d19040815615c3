"""SQL as files: each has one statement, only bound parameters, and a header comment about what it does."""

from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent


@cache
def statement(name: str) -> str:
    """Return the text of `include/sql/<name>.sql`, for example `statement("ledger/take")`.

    An adapter that lives elsewhere gives the absolute path of its own file, also without the ending.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return (_ROOT / f"{name}.sql").read_text(encoding="utf-8")

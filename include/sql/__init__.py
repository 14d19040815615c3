"""SQL as files: one statement each, bound parameters only, a header comment that says what it promises."""

from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent


@cache
def statement(name: str) -> str:
    """Text of `include/sql/<name>.sql`, for example `statement("ledger/take")`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return (_ROOT / f"{name}.sql").read_text(encoding="utf-8")

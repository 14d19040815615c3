"""The stores of the simulated CRM: the n-th one is a pure function of seed, `today` and n."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

DEFAULT_STORES = 48
DEFAULT_SEED = 7
MAX_STORES = 10_000
_CITIES = ("BLR", "DEL", "MUM", "PUN", "HYD", "CHE", "KOL", "AMD", "JAI", "LKO", "COK", "IND")
_GROUPS = ("ALL", "TD", "UC", "ALL", "TD")
_OLDEST_DAYS = 730
_GOLDEN = 0.618_033_988_749_895  # multiples of it fill an interval evenly, whatever the number of stores
_PREFIX = 3


class StoreRow(NamedTuple):
    """One row of `store_master`."""

    store_code: str
    cost_center: str
    sync_group: str
    start_date: date
    is_active: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A row of `store_master`, and how the store behaves.

    Attributes:
        row: What `store_master` holds.
        orders_a_day: On an ordinary day, at volume 1.
        writes_utc: It gives instants in UTC (`Z`), not with +05:30.
    """

    row: StoreRow
    orders_a_day: float
    writes_utc: bool


def store(number: int, *, seed: int, today: date) -> Store:
    """The store with this number, from 1; 2 in 5 have both pipelines, 2 in 5 TD alone, 1 in 5 UC alone.

    >>> store(3, seed=7, today=date(2026, 1, 31)).row.sync_group
    'ALL'
    """
    random = Random(f"{seed}/store/{number}")  # noqa: S311 - sample data
    age = int(_OLDEST_DAYS * (number * _GOLDEN % 1.0))
    row = StoreRow(
        store_code=f"{random.choice(_CITIES)}{number:04d}",
        cost_center=f"CC{1000 + number}",
        sync_group=_GROUPS[number % len(_GROUPS)],
        start_date=today - timedelta(days=age),
        is_active=number % 24 != 0,
    )
    return Store(row, random.uniform(6, 25), number % 7 == 3)


def find_store(code: str, *, count: int, seed: int, today: date) -> Store | None:
    """The store with this code among the first `count`, in constant time."""
    digits = code[_PREFIX:]
    if not (digits.isascii() and digits.isdigit()) or not 1 <= int(digits) <= count:
        return None
    found = store(int(digits), seed=seed, today=today)
    return found if found.row.store_code == code else None


def store_master_rows(count: int = DEFAULT_STORES, *, today: date, seed: int = DEFAULT_SEED) -> list[StoreRow]:
    """The first `count` stores as `store_master` holds them."""
    return [store(number, seed=seed, today=today).row for number in range(1, count + 1)]

"""The life of every order of a store and day: known from the start, seen as far as the clock has come.

Instants are whole seconds since 1970, amounts are in paise. Asia/Kolkata has had no other offset than +05:30 since
1945, so a local day is plain arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from local_stack.crm.stores import Store

OFFSET_SECONDS = 19_800
LONGEST_LIFE_DAYS = 7
"""An order is paid, delivered and invoiced within so many days."""

LATE, CORRECTED, VANISHED, NEAR_MIDNIGHT, CANCELLED, SPLIT = 0.02, 0.03, 0.003, 0.04, 0.03, 0.08
"""Shares of all orders."""

_HOUR, _DAY = 3_600, 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_WEEKDAYS = (0.80, 0.85, 0.90, 0.95, 1.10, 1.35, 1.25)
_MONTHS = (1.10, 1.15, 1.00, 0.95, 1.05, 0.90, 0.75, 0.80, 0.95, 1.15, 1.10, 1.15)
_DIWALI = tuple(
    date.fromisoformat(day).toordinal()
    for day in ("2023-11-12", "2024-11-01", "2025-10-20", "2026-11-08", "2027-10-29", "2028-10-17")
)
_NAMES = (
    "Asha Rao", "Imran Sheikh", "D'Souza, Maria", 'Ravi "RK" Kumar', "प्रिया शर्मा", "Sunita\nDevi", "Li Wei",
    "Anil & Sons", "O'Brien <Pvt>", "Ünal Çelik", "  Meera  ", "Joseph K.",
)  # fmt: skip
_MODES = ("UPI", "CASH", "CARD", "WALLET")


@dataclass(frozen=True, slots=True)
class Order:
    """One order from its first to its last moment.

    Attributes:
        number: Unique within the store and the CRM.
        ordered_at: When the customer ordered.
        visible_at: When reports begin to show it; 2 % do so hours to two days later.
        vanished_at: When reports stop showing it, or None.
        processing_at: Status `processing` from then on.
        ready_at: Status `ready` from then on.
        delivered_at: Status `delivered` from then on; None for a cancelled order.
        cancelled_at: Status `cancelled` from then on, or None.
        corrected_at: When its discount changes, or None.
        pieces: 1 or more.
        gross: Before discount.
        discount: Until it is corrected.
        corrected_discount: Afterwards.
        customer: Number of the customer, or None for a walk-in.
        name: Of the customer, with all that text can hold.
        payments: When and how it is paid, and how many hundredths of the net amount.
        gstin_at: When the customer's tax number is known, or None: never.
    """

    number: str
    ordered_at: int
    visible_at: int
    vanished_at: int | None
    processing_at: int
    ready_at: int
    delivered_at: int | None
    cancelled_at: int | None
    corrected_at: int | None
    pieces: int
    gross: int
    discount: int
    corrected_discount: int
    customer: int | None
    name: str
    payments: tuple[tuple[int, str, int], ...]
    gstin_at: int | None

    def is_visible(self, as_of: float) -> bool:
        """Whether reports show it at `as_of`."""
        return self.visible_at <= as_of and (self.vanished_at is None or as_of < self.vanished_at)

    def status(self, as_of: float) -> str:
        """Its status at `as_of`."""
        steps = (
            ("cancelled", self.cancelled_at),
            ("delivered", self.delivered_at),
            ("ready", self.ready_at),
            ("processing", self.processing_at),
        )
        return next((name for name, at in steps if at is not None and at <= as_of), "received")

    def discount_at(self, as_of: float) -> int:
        """Its discount as known at `as_of`."""
        is_corrected = self.corrected_at is not None and self.corrected_at <= as_of
        return self.corrected_discount if is_corrected else self.discount


def local_midnight(day: date) -> int:
    """When a local day begins."""
    return (day.toordinal() - _EPOCH) * _DAY - OFFSET_SECONDS


def season(day: date) -> float:
    """How busy a date is compared with an ordinary Thursday: weekday, month, and the three weeks before Diwali.

    >>> season(date(2026, 11, 7)) > 2 * season(date(2026, 7, 7))
    True
    """
    number = day.toordinal()
    peak = next((1.0 + 0.06 * (21 - (diwali - number)) for diwali in _DIWALI if 0 < diwali - number <= 21), 1.0)
    return _WEEKDAYS[day.weekday()] * _MONTHS[day.month - 1] * peak


def day_orders(store: Store, day: date, *, system: str, seed: int, volume: float) -> list[Order]:
    """All orders of a store and local date, in no order of time; none before its first day of business.

    Args:
        store: Whose orders.
        day: Local date of `ordered_at`.
        system: `td` or `uc`: the two CRMs know different orders.
        seed: Of all data.
        volume: Times as many orders as usual.
    """
    if day < store.row.start_date:
        return []
    code = store.row.store_code
    random = Random(f"{seed}/{system}/{code}/{day}")  # noqa: S311 - sample data
    expected = store.orders_a_day * season(day) * random.uniform(0.8, 1.2) * volume
    midnight, prefix = local_midnight(day), f"{code}-{day:%y%m%d}"
    return [
        _order(random, f"{prefix}-{number:03d}", midnight) for number in range(1, int(expected + random.random()) + 1)
    ]


def _order(random: Random, number: str, midnight: int) -> Order:
    draw = random.random
    ordered_at = midnight + _second_of_day(random)
    late = int(2 * _HOUR * 24 ** draw()) if draw() < LATE else int(300 * draw())
    ready_at = ordered_at + int(_DAY * (0.5 + 1.5 * draw()))
    delivered_at = ready_at + int(_DAY * (0.1 + 2.4 * draw()))
    is_cancelled = draw() < CANCELLED
    pieces = 1 + int(12 * draw() ** 2)
    gross = pieces * (4_000 + 50 * int(400 * draw()))
    discount = gross * int(4 * draw()) * 5 // 100
    is_corrected = draw() < CORRECTED
    seen_at = ordered_at + late
    pays_now = draw() < 0.6
    paid_at = ordered_at + int(600 * draw()) if pays_now else delivered_at
    mode = _MODES[int(len(_MODES) * draw())]
    parts: tuple[tuple[int, str, int], ...] = ((paid_at, mode, 100),)
    if draw() < SPLIT:
        parts = ((paid_at, mode, 40), (paid_at + 60, "CASH", 60))
    return Order(
        number=number,
        ordered_at=ordered_at,
        visible_at=seen_at,
        vanished_at=seen_at + int(_DAY * (1 + 2 * draw())) if draw() < VANISHED else None,
        processing_at=ordered_at + int(_HOUR * (1 + 9 * draw())),
        ready_at=ready_at,
        delivered_at=None if is_cancelled else delivered_at,
        cancelled_at=ordered_at + int(_HOUR * (1 + 20 * draw())) if is_cancelled else None,
        corrected_at=ordered_at + int(_DAY * (0.2 + 3.8 * draw())) if is_corrected else None,
        pieces=pieces,
        gross=gross,
        discount=discount,
        corrected_discount=discount + 1_050 + int(500 * draw()),
        customer=int(5_000 * draw()) if draw() < 0.95 else None,
        name=_NAMES[int(len(_NAMES) * draw())],
        payments=() if is_cancelled and not pays_now else parts,
        gstin_at=seen_at + (int(3 * _DAY * draw()) if draw() < 0.2 else 0) if draw() < 0.3 else None,
    )


def _second_of_day(random: Random) -> int:
    """Mostly in opening hours; some within half an hour of midnight, on another date in UTC or a naive zone."""
    if random.random() < NEAR_MIDNIGHT:
        return int((random.random() * 3_600 - 1_800) % _DAY)
    return int(random.triangular(8 * _HOUR, 22 * _HOUR, 18 * _HOUR))

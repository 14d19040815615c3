"""What every `Target` promises: an adapter's author subclasses `TargetContract` and overrides one fixture.

    class TestMyTarget(TargetContract):
        @pytest.fixture
        def unprepared(self) -> TargetHarness:
            return SqlTargetHarness(MyTarget, connect, lost_connection)

Every case runs, unless the class names it in `exempt` with a reason, as `TestMemoryTarget` does. The guide is
`docs/adding-a-target.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from tests.contract.target_column_types import ColumnTypesContract
from tests.contract.target_groups import GroupsContract
from tests.contract.target_harness import FLIGHTS, TargetHarness
from tests.contract.target_keeps_rows import KeepsRowsContract
from tests.contract.target_publishing import PublishingContract
from tests.contract.target_receipts import ReceiptsContract
from tests.contract.target_transactions import TransactionsContract


class TargetContract(
    PublishingContract, GroupsContract, TransactionsContract, ReceiptsContract, KeepsRowsContract, ColumnTypesContract
):
    """The whole contract of a target.

    Attributes:
        exempt: Cases that don't apply to this target, by name, each with the reason; they are not collected.
        counts_refused: See `ColumnTypesContract`.
    """

    exempt: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, reason in cls.exempt.items():
            if not callable(getattr(TargetContract, name, None)) or not reason:
                raise TypeError(f"{cls.__name__}.exempt: {name} is no case of the contract, or has no reason")
            setattr(cls, name, None)

    @pytest.fixture
    def unprepared(self) -> TargetHarness:
        """Override it: a harness around a table that does not exist yet."""
        raise NotImplementedError

    @pytest.fixture
    def harness(self, unprepared: TargetHarness) -> TargetHarness:
        """The same after `prepare`, which most cases need."""
        unprepared.target.prepare(FLIGHTS)
        return unprepared

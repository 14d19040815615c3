"""What no target does: load a document twice, or take loaded rows away that nobody has given up."""

from __future__ import annotations

import pytest

from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.errors import BadDocumentError, PipelineError, RowsWouldVanishError
from include.pipeline_framework.ports.queries import Queryable
from tests.contract.target_harness import FLIGHTS, TargetHarness, document, documents, window

NONE, ONE_IN_TEN = VanishedDataLimit(), VanishedDataLimit(percent=10)


class KeepsRowsContract:
    """What a load refuses to do."""

    def test_a_document_that_comes_twice_is_refused_by_name(self, harness: TargetHarness) -> None:
        twice = [*documents(3), document("b-copy"), document("a-copy"), document("b-copy"), document("a-copy")]
        manifest = harness.staged(twice)
        with pytest.raises(BadDocumentError, match="document 'a-copy' comes 2 times"):
            harness.publish(manifest)
        assert harness.rows() == []
        assert harness.target.receipt(FLIGHTS, window()) is None

    def test_ids_may_repeat_where_the_pipeline_says_so(self, harness: TargetHarness) -> None:
        twice = [document("a"), document("a"), document("b")]
        result = harness.publish(harness.staged(twice), ids_repeat=True)
        assert (result.loaded.rows, harness.ids()) == (3, ["a", "a", "b"])

    def test_a_load_that_would_take_rows_away_is_refused_with_its_numbers(self, harness: TargetHarness) -> None:
        before = documents(10)
        first = harness.load(before)
        fewer = harness.staged(before[:6])
        with pytest.raises(
            RowsWouldVanishError, match=r"4 of the window's 10 rows would be gone, 1 may go .* gave 6 rows"
        ):
            harness.publish(fewer, removable=ONE_IN_TEN)
        assert harness.ids() == sorted(item.id for item in before)
        assert harness.target.receipt(FLIGHTS, window()) == first.receipt

    def test_more_rows_do_not_hide_those_that_would_be_gone(self, harness: TargetHarness) -> None:
        harness.load(documents(4))
        others = harness.staged(documents(9, prefix="other"))
        with pytest.raises(RowsWouldVanishError, match=r"4 of the window's 4 rows would be gone, 0 may go"):
            harness.publish(others, removable=NONE)

    def test_rows_go_within_the_limit_and_without_one(self, harness: TargetHarness) -> None:
        before = documents(10)
        harness.load(before)
        harness.publish(harness.staged([*before[:9], document("new")]), removable=ONE_IN_TEN)
        assert len(harness.ids()) == 10
        harness.publish(harness.staged(before[:2]))
        assert harness.ids() == sorted(item.id for item in before[:2])

    def test_a_first_load_and_one_that_adds_are_never_refused(self, harness: TargetHarness) -> None:
        content = documents(3)
        harness.publish(harness.staged(content), removable=NONE)
        harness.publish(harness.staged([*content, document("late")]), removable=NONE)
        assert len(harness.ids()) == 4

    def test_the_rows_of_a_replaced_row_count_too(self, harness: TargetHarness) -> None:
        content = documents(4)
        harness.load(content, row=1)
        fewer = harness.staged(content[:1], row=2)
        with pytest.raises(RowsWouldVanishError, match=r"3 of the window's 4 rows"):
            harness.publish(fewer, removable=NONE, replaced={1: window()})

    def test_a_persons_query_reads_what_is_loaded(self, harness: TargetHarness) -> None:
        harness.load(documents(3))
        assert isinstance(harness.target, Queryable)
        answer = harness.target.query("SELECT 1 AS one UNION ALL SELECT 2 ORDER BY 1", 1)
        assert ([name.lower() for name in answer.columns], answer.has_more) == (["one"], True)
        assert [list(map(int, row)) for row in answer.rows] == [[1]]
        with pytest.raises(PipelineError, match=r"(?i)nowhere"):
            harness.target.query("SELECT * FROM nowhere", 1)
        assert len(harness.ids()) == 3

"""Pages that a server can't make at the asked size; played, because a real node's memory is everybody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_elasticsearch import FakeElasticsearch, serve
from tests.unit.implementation_modules.elasticsearch.test_faults import ROWS, documents, read, source_of


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    with serve(FakeElasticsearch(documents())) as server:
        yield server


@pytest.mark.parametrize("error", [("circuit_breaking_exception", 429), ("illegal_argument_exception", 400)])
def test_pages_that_the_server_can_not_make_are_halved_until_it_can(
    fake: FakeElasticsearch, error: tuple[str, int]
) -> None:
    most, kind, code = 3, *error
    reason = "Result window is too large, from + size must be less than or equal to: [3] but was [500]."

    def limited(answer: Any, _: int) -> Any:
        asked = fake.requests[-1][1]["size"]
        said = {"type": kind, "reason": reason if code == 400 else "Data too large"}
        return (200, answer) if asked <= most else (code, {"error": said | {"root_cause": [said]}, "status": code})

    fake.faults["page"] = limited
    assert len(read(source_of(fake, slices=1, page_size=12))) == ROWS
    sizes = [request["size"] for kind, request in fake.requests if kind == "page"]
    assert sizes[:3] == [12, 6, 3]
    assert set(sizes[3:]) == {3}

"""What a role hides from the user: a server with security is played, the real one here has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.pipeline_framework.errors import ConfigurationError
from tests.fake_elasticsearch import FakeElasticsearch, serve
from tests.unit.implementation_modules.elasticsearch.test_faults import ROWS, documents, read, source_of, status


@pytest.fixture
def fake() -> Iterator[FakeElasticsearch]:
    with serve(FakeElasticsearch(documents())) as server:
        yield server


def grant(**changes: Any) -> dict[str, Any]:
    return {"names": ["events"], "privileges": ["read"], "allow_restricted_indices": False} | changes


QUERY = {"query": ['{"term":{"tenant":"a"}}']}
FIELDS = {"field_security": [{"grant": ["title", "day"], "except": []}]}
WITHOUT_FIELD = {"field_security": [{"grant": ["*"], "except": ["secret"]}]}
EVERYTHING = {"field_security": [{"grant": ["*"], "except": []}]}


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        ([grant(**QUERY)], "document-level security"),
        ([grant(names=["ev*"], privileges=["all"], **QUERY)], "document-level security"),
        ([grant(names=["/ev[a-z]+/"], **QUERY)], "document-level security"),
        ([grant(**QUERY), grant(names=["others"])], "document-level security"),
        ([grant(**QUERY), grant(privileges=["monitor"])], "document-level security"),
        ([grant(**FIELDS)], "field-level security"),
        ([grant(**WITHOUT_FIELD)], "field-level security"),
        ([grant(**EVERYTHING)], None),
        ([grant(**QUERY), grant()], None),
        ([grant(names=["others"], **QUERY)], None),
        ([], None),
    ],
)
def test_a_user_from_whom_a_role_hides_something_is_refused(
    fake: FakeElasticsearch, grants: list[dict[str, Any]], said: str | None
) -> None:
    fake.privileges = {"cluster": [], "indices": grants}
    if said is None:
        assert len(read(source_of(fake))) == ROWS
        return
    with pytest.raises(ConfigurationError, match=f"the user does not see all of events: {said}"):
        read(source_of(fake))
    assert not fake.views


@pytest.mark.parametrize("code", [400, 403, 404, 405, 500])
def test_a_server_that_can_not_be_asked_for_rights_is_read_and_the_log_says_so(
    fake: FakeElasticsearch, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    fake.faults["privileges"] = status(code, "exception")
    with caplog.at_level("INFO"):
        assert len(read(source_of(fake))) == ROWS
    assert "hidden documents could not be noticed" in caplog.text

"""A pipeline's three names, and what is said about any other."""

from __future__ import annotations

import pytest

from include.pipeline_framework.config.names import pipeline_named
from include.pipeline_framework.errors import InvalidInputError
from tests.unit.tasks.world import config

CONFIGS = {
    "main": config(),
    "orders": config(pipeline_id="orders", source_object="Orders.Raw"),
    "flights": config(pipeline_id="flights", source_object="other"),
}


@pytest.mark.parametrize(
    ("name", "pipeline_id"),
    [
        ("main", "main"),
        ("data_pipeline_main", "main"),
        ("flights", "main"),  # the ledger's key comes first: it is the one that people see most
        ("data_pipeline_flights", "flights"),
        ("Orders.Raw", "orders"),
        ("ORDERS.RAW", "orders"),
        ("Main", "main"),
    ],
)
def test_each_name_is_understood(name: str, pipeline_id: str) -> None:
    assert pipeline_named(name, CONFIGS).pipeline_id == pipeline_id


def test_an_unknown_name_gets_those_that_are_like_it() -> None:
    with pytest.raises(InvalidInputError) as raised:
        pipeline_named("flihgts", CONFIGS)
    assert "did you mean flights?" in raised.value.what
    assert "orders (source Orders.Raw)" in raised.value.remedy
    with pytest.raises(InvalidInputError) as raised:
        pipeline_named("zzz", CONFIGS)
    assert "did you mean" not in raised.value.what
    with pytest.raises(InvalidInputError, match="broken") as raised:
        pipeline_named("bad", CONFIGS, ["bad"])
    assert "config validate" in raised.value.remedy

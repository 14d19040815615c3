"""Mappings as fields of documents."""

from __future__ import annotations

from typing import Any

from include.implementation_modules.elasticsearch.mapping import fields_of, time_fields_of
from include.pipeline_framework.core.proposing.description import SourceField


def mapping(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


def test_types_become_kinds_and_formats_units() -> None:
    found = fields_of(
        [
            mapping(
                n={"type": "unsigned_long"},
                name={"type": "text", "fields": {"keyword": {"type": "keyword"}, "at": {"type": "date"}}},
                all={"type": "text", "copy_to": "everything"},
                everything={"type": "text"},
                at={"type": "date"},
                seconds={"type": "date", "format": "strict_date_time||epoch_second"},
                odd={"type": "date", "format": "dd/MMM/yyyy"},
                http={"properties": {"status.code": {"type": "short"}}},
                free={"type": "object", "enabled": False},
                lines={"type": "nested", "properties": {"at": {"type": "date"}}},
                other={"type": "alias", "path": "n"},
                place={"type": "geo_point"},
            )
        ]
    )
    assert {each.name: (each.kind, each.unit) for each in found} == {
        "n": ("integer", ""),
        "name": ("text", ""),
        "name.at": ("absent", ""),
        "all": ("text", ""),
        "everything": ("absent", ""),
        "at": ("timestamp", "epoch_millis"),
        "seconds": ("timestamp", "epoch_second"),
        "odd": ("unknown", ""),
        "http.status.code": ("integer", ""),
        "free": ("nested", ""),
        "lines": ("nested", ""),
        "lines.at": ("timestamp", "epoch_millis"),
        "other": ("absent", ""),
        "place": ("unknown", ""),
    }
    assert time_fields_of(found) == ("at", "seconds", "odd", "name.at"), "not below nested; own names first"


def test_indices_that_disagree_leave_it_to_the_sample() -> None:
    found = fields_of(
        [
            mapping(a={"type": "long"}, at={"type": "date"}, n={"type": "long"}),
            mapping(a={"type": "keyword"}, at={"type": "date_nanos"}, n={"type": "integer"}, b={"type": "ip"}),
            {},
        ]
    )
    assert found == (
        SourceField(("a",), "keyword and long", "unknown"),
        SourceField(("at",), "date and date_nanos", "timestamp", "epoch_millis"),
        SourceField(("n",), "integer and long", "integer"),
        SourceField(("b",), "ip", "text"),
    )
    assert time_fields_of(found) == ("at",)

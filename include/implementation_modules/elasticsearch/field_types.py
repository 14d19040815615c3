"""Asks the server how the event time's field is mapped, and refuses what names no instant."""

from __future__ import annotations

from collections.abc import Mapping

from include.implementation_modules.elasticsearch.answers import Channel, FieldCapabilities, index_path
from include.implementation_modules.elasticsearch.time_field import TimeField
from include.pipeline_framework.errors import ConfigurationError, IncompleteExtractError


def require_date(channel: Channel, index: str, name: str, wildcards: Mapping[str, str], where: str) -> TimeField:
    """Return the time field of an index pattern; a range on a field of another type would compare text or numbers.

    Raises:
        IncompleteExtractError: An index did not tell the type.
        ConfigurationError: It is not mapped, is no date somewhere, or lies below nested objects.
    """
    keys = name.split(".")
    parents = [".".join(keys[:length]) for length in range(1, len(keys))]
    parameters = {"fields": ",".join([name, *parents]), "allow_no_indices": "false", **wildcards}
    answer = channel.ask("GET", index_path(index, "_field_caps"), FieldCapabilities, where=where, parameters=parameters)
    types = frozenset(answer.fields.get(name, {})) - {"unmapped"}
    if answer.failed_indices:
        raise IncompleteExtractError(
            f"{answer.failed_indices} indices did not tell the type of {name!r}",
            where=where,
            meaning="Nothing was read",
            remedy="Airflow retries; if it stays, check the cluster's health.",
        )
    if not types or not types <= {"date", "date_nanos"}:
        raise ConfigurationError(
            f"The time field {name!r} is {'mapped as ' + ', '.join(sorted(types)) if types else 'not mapped'}",
            where=where,
            meaning="Without a date no document can be put into a window",
            remedy="Set time_field to a field that is mapped as date or date_nanos in every index.",
        )
    if nested := [parent for parent in parents if "nested" in answer.fields.get(parent, {})]:
        raise ConfigurationError(
            f"The time field {name!r} lies below {nested[0]!r}, which is mapped as nested",
            where=where,
            meaning="Elasticsearch keeps such values in documents of their own: no range finds one, and every "
            "window would look empty",
            remedy="Set time_field to a date outside of nested objects, or index a copy of it there (copy_to "
            "or include_in_root in the mapping).",
        )
    return TimeField(name, types)

"""What counts as one query, and how an answer is kept."""

from __future__ import annotations

import pytest

from include.pipeline_framework.core.watching.queries import Answer, one_query
from include.pipeline_framework.errors import InvalidInputError


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "  SELECT ';' AS a, \"b;c\" FROM t ;; ",
        "-- what it is for; really\nwith x as (select 1) select * from x",
        "/* a; b */ (select 1)",
        "show tables",
        "describe table flights",
        "select $$;$$",
        "values (1)",
    ],
)
def test_one_statement_that_reads(text: str) -> None:
    assert one_query(text) == text.strip().rstrip("; ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delete from t", "'delete'"),
        ("", "nothing"),
        ("; ;", "nothing"),
        ("-- select 1\ndrop table t", "'drop'"),
        ("select 1; delete from t", "several statements"),
        ("'select'", "begins with"),
    ],
)
def test_anything_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        one_query(text)


def test_columns_of_one_name_are_told_apart() -> None:
    answer = Answer.of(["id", "id", "n"], [(1, 2, 3)], 5)
    assert (answer.as_dicts(), answer.has_more) == ([{"id": 1, "id_2": 2, "n": 3}], False)

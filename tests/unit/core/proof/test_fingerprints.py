"""A fingerprint is equal exactly when the ids are, in whatever order they come."""

from __future__ import annotations

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.proof.fingerprints import Fingerprint, id_hash

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=12)


@pytest.mark.parametrize("document_id", ["", "a", "20130309-AA-1-JFK", "ü", "日本", "😀", "x" * 10_000])
def test_the_hash_is_fifteen_digits_of_md5_over_utf8(document_id: str) -> None:
    digits = md5(document_id.encode("utf-8"), usedforsecurity=False).hexdigest()
    assert id_hash(document_id) == int(digits[:15], 16)
    assert 0 <= id_hash(document_id) < 2**60


def test_of_nothing() -> None:
    assert Fingerprint.of([]) == Fingerprint() == Fingerprint(0, 0)


def test_one_lost_and_one_doubled_do_not_cancel() -> None:
    loaded, staged = Fingerprint.of(["a", "b", "b"]), Fingerprint.of(["a", "b", "c"])
    assert loaded.rows == staged.rows
    assert loaded != staged


def test_one_swapped_for_another_shows() -> None:
    assert Fingerprint.of(["a", "b"]) != Fingerprint.of(["a", "c"])


def test_sums_go_beyond_64_bits() -> None:
    total = Fingerprint.of(f"id-{n}" for n in range(100))
    assert total.hash_sum > 2**63
    assert total.hash_sum == sum(id_hash(f"id-{n}") for n in range(100))


@given(IDS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(ids: list[str], random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Fingerprint.of(shuffled) == Fingerprint.of(ids)


@given(IDS, IDS)
def test_adding_is_the_fingerprint_of_both(one: list[str], other: list[str]) -> None:
    assert Fingerprint.of(one) + Fingerprint.of(other) == Fingerprint.of(one + other)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=12, unique=True))
def test_losing_one_and_doubling_another_always_shows(ids: list[str]) -> None:
    assert Fingerprint.of([*ids[1:], ids[-1]]) != Fingerprint.of(ids)


def test_it_prints_both_numbers() -> None:
    assert str(Fingerprint(2, 7)) == "2 rows, hash sum 7"

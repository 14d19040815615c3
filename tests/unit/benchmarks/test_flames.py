"""Flame pictures, from samples as py-spy writes them."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.flames import below, flame, read_stacks

MAIN = "<module> (include/cli/__main__.py:1)"
RAW = f"""{MAIN};_publish (include/move.py:20);send (http/a.py:1);b (http/b.py:2);recv (socket.py:7) 60
{MAIN};_publish (include/move.py:25);send (http/a.py:1);c (http/b.py:2);recv (socket.py:9) 20
{MAIN};_publish (include/move.py:25);rare (include/rare.py:1) 0
{MAIN};_audit (include/move.py:90);loads (json.py:3) 20
"""


def test_lines_and_what_lies_between_are_left_out() -> None:
    assert read_stacks(RAW) == {
        (
            "<module> (include/cli/__main__.py)",
            "_publish (include/move.py)",
            "send (http/a.py)",
            "recv (socket.py)",
        ): 80,
        ("<module> (include/cli/__main__.py)", "_publish (include/move.py)", "rare (include/rare.py)"): 0,
        ("<module> (include/cli/__main__.py)", "_audit (include/move.py)", "loads (json.py)"): 20,
    }


def test_a_phase_begins_where_its_function_does() -> None:
    part = below(read_stacks(RAW), ("_publish", "publish"))
    assert part[("_publish (include/move.py)", "send (http/a.py)", "recv (socket.py)")] == 80
    assert sum(part.values()) == 80
    assert below(read_stacks(RAW), ("_staged",)) == {}


def test_the_picture_shows_shares_and_who_waits() -> None:
    root = ElementTree.fromstring(flame(read_stacks(RAW), "all < of it"))  # noqa: S314 - our own
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "all < of it"
    assert "_publish (include/move.py) 80.0%" in titles
    assert "loads (json.py) 20.0%" in titles
    assert not any("rare" in title for title in titles)
    colours = {
        (group[0].text or "").partition(" ")[0]: group[1].get("fill")
        for group in root.iter("{http://www.w3.org/2000/svg}g")
    }
    assert len({colours["_publish"], colours["recv"], colours["send"]}) == 3
    assert colours["_audit"] == colours["_publish"]


def test_nothing_was_sampled() -> None:
    ElementTree.fromstring(flame({}, "nothing"))  # noqa: S314 - our own

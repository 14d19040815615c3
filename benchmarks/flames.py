"""Flame pictures: where the time of a process goes, from the stacks that py-spy has sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Self

Stack = tuple[str, ...]
"""Frames from the outermost to the innermost, each as `name (file:line)`."""

_WIDTH, _ROW, _TOP, _LEAST = 1_200, 17, 30, 0.01
_OURS, _WAITING, _OTHERS = "#2f81f7", "#8b949e", "#bf8700"
_WAITS = ("wait", "recv", "readinto", "sleep", "poll", "select", "getresponse")


@dataclass
class _Frame:
    name: str
    samples: int = 0
    inner: dict[str, _Frame] = field(default_factory=dict)

    @classmethod
    def of(cls, stacks: Mapping[Stack, int], title: str) -> Self:
        root = cls(title, sum(stacks.values()))
        for stack, samples in stacks.items():
            frame = root
            for name in stack:
                frame = frame.inner.setdefault(name, _Frame(name))
                frame.samples += samples
        return root


def read_stacks(text: str) -> dict[Stack, int]:
    """Return the samples of each stack from py-spy's raw form, `outer;…;inner samples` on each line, without the lines'
    numbers. Of frames of other packages that follow each other, the one that was called and the innermost are kept.
    """
    found: dict[Stack, int] = {}
    for line in text.splitlines():
        frames, _, samples = line.rpartition(" ")
        names = [name.rpartition(":")[0] + ")" if ":" in name else name for name in frames.split(";")]
        last = len(names) - 1
        stack = tuple(
            name
            for number, name in enumerate(names)
            if _is_ours(name) or number in (0, last) or _is_ours(names[number - 1])
        )
        found[stack] = found.get(stack, 0) + int(samples)
    return found


def _is_ours(frame: str) -> bool:
    return "(include/" in frame


def below(stacks: Mapping[Stack, int], names: Sequence[str]) -> dict[Stack, int]:
    """Return what ran inside of functions with these names, each stack from the outermost of them on."""
    found: dict[Stack, int] = {}
    for stack, samples in stacks.items():
        start = next((number for number, name in enumerate(stack) if name.partition(" ")[0] in names), None)
        if start is not None:
            found[stack[start:]] = found.get(stack[start:], 0) + samples
    return found


def flame(stacks: Mapping[Stack, int], title: str) -> str:
    """Return the picture in SVG: the wider a frame, the longer it was there; below it what called it.

    The product's own frames are blue, waiting for a server is grey. A frame narrower than 1 % is left out; each one's
    share is shown when the pointer rests on it.
    """
    root = _Frame.of(stacks, title)
    drawn: list[tuple[int, float, _Frame]] = []

    def place(frame: _Frame, depth: int, left: float) -> None:
        for inner in sorted(frame.inner.values(), key=lambda one: one.name):
            if inner.samples / max(root.samples, 1) >= _LEAST:
                drawn.append((depth, left, inner))
                place(inner, depth + 1, left)
            left += inner.samples

    place(root, 0, 0)
    rows = max((depth for depth, _, _ in drawn), default=0) + 1
    height = _TOP + rows * _ROW + 4
    bars = "".join(_bar(root.samples, height, *one) for one in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" font-family="ui-monospace, monospace" font-size="11">\n<title>{escape(title)}</title>\n'
        f'<text x="0" y="18" font-size="13" font-weight="600" fill="#768390">{escape(title)}</text>\n{bars}</svg>\n'
    )


def _bar(all_samples: int, height: int, depth: int, left: float, frame: _Frame) -> str:
    width = frame.samples / all_samples * _WIDTH
    x, y = left / all_samples * _WIDTH, height - (depth + 1) * _ROW
    text = frame.name if len(frame.name) * 6.7 < width else frame.name[: max(0, int(width / 6.7) - 1)]
    return (
        f"<g><title>{escape(frame.name)} {frame.samples / all_samples:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" height="{_ROW - 1}" fill="{_colour(frame)}"/>'
        f'<text x="{x + 2:.1f}" y="{y + 12}" fill="#ffffff">{escape(text)}</text></g>\n'
    )


def _colour(frame: _Frame) -> str:
    if _is_ours(frame.name):
        return _OURS
    is_waiting = not frame.inner and any(word in frame.name.lower() for word in _WAITS)
    return _WAITING if is_waiting else _OTHERS

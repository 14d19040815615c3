"""What the tests of this folder look at: the repository's own files, without what tools leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def files(*suffixes: str, under: str = ".") -> list[Path]:
    """Files of the repository in order, all of them or those with one of the suffixes; needs no git."""
    found = (path for path in _walk(REPO / under) if not suffixes or path.suffix in suffixes)
    return sorted(found)


def text(path: str | Path) -> str:
    """The content of one file, named from the root of the repository."""
    return (REPO / path).read_text(encoding="utf-8")


def name(path: Path) -> str:
    """How messages name a file."""
    return path.relative_to(REPO).as_posix()


def _walk(top: Path) -> Iterator[Path]:
    ignored = {".git", *(line.rstrip("/") for line in text(".gitignore").splitlines())}
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = [subfolder for subfolder in subfolders if subfolder not in ignored]
        yield from (Path(folder, file) for file in names if file not in ignored and not file.endswith(".pyc"))

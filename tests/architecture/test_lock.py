"""One lock for everything: what is required directly has its version there, and what is installed is what it says."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.architecture.repository import text

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "compose/requirements.txt")


def direct(path: str) -> dict[str, str]:
    """Names and versions of one file, without those of the files that it includes."""
    lines = [line.partition("#")[0].strip() for line in text(path).splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): str(requirement.specifier) for requirement in found}


def lock() -> list[Requirement]:
    return [Requirement(line) for line in text("constraints.txt").splitlines() if not line.startswith("#")]


def installed() -> dict[str, str]:
    return {canonicalize_name(found.name): found.version for found in importlib.metadata.distributions()}


@pytest.mark.parametrize("path", REQUIREMENTS)
def test_every_direct_requirement_is_in_the_lock_at_the_same_version(path: str) -> None:
    locked = {canonicalize_name(entry.name): str(entry.specifier) for entry in lock()}
    required = direct(path)
    assert required
    assert all(re.fullmatch(r"==[^*,]+", specifier) for specifier in required.values()), required
    assert {name: locked.get(name) for name in required} == required, "run `make lock`"


def test_the_lock_has_exact_versions_from_an_index_only() -> None:
    assert len(lock()) > 200
    assert [str(entry) for entry in lock() if entry.url or not re.fullmatch(r"==[^*,]+", str(entry.specifier))] == []


def test_what_is_installed_is_what_the_lock_says() -> None:
    present = installed()
    entries = [entry for entry in lock() if entry.marker is None or entry.marker.evaluate()]
    wrong = {
        f"{entry.name}{entry.specifier}": present[canonicalize_name(entry.name)]
        for entry in entries
        if present.get(canonicalize_name(entry.name), "") not in ("", str(entry.specifier).removeprefix("=="))
    }
    assert wrong == {}, "run `make install`"
    missing = {*direct("requirements.txt"), *direct("requirements-dev.txt")} - set(present)
    assert missing == set(), "run `make install`"


def test_the_lock_was_made_for_every_python_that_the_project_supports() -> None:
    supported = SpecifierSet(tomllib.loads(text("pyproject.toml"))["project"]["requires-python"])
    script = text("scripts/make_environment.sh")
    versions = [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in supported]
    assert f"compile --quiet --universal --python-version {versions[0]} " in script
    assert " | ".join(f"{version}.*" for version in versions) + ")" in script

"""The examples in the docstrings of `core` are run, so that they stay true."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

from include.pipeline_framework import core

MODULES = sorted(module.name for module in pkgutil.walk_packages(core.__path__, f"{core.__name__}."))


def test_the_modules_were_found() -> None:
    names = {name.removeprefix(f"{core.__name__}.") for name in MODULES}
    assert {"texts", "time.days", "time.windows", "lifecycle.transitions", "why.explain"} <= names


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.failed == 0

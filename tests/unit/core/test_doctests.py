"""The examples in the docstrings of `core` are run, so that they stay true."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

from include.pipeline_framework import core

MODULES = sorted(module.name for module in pkgutil.iter_modules(core.__path__))


def test_the_modules_were_found() -> None:
    assert {"days", "durations", "lifecycle", "windows"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"include.pipeline_framework.core.{name}"))
    assert result.failed == 0

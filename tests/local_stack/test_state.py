"""Ports and secrets survive restarts and are nobody else's business."""

import stat
from pathlib import Path

import pytest

from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.state import SECRETS, State


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "stack")
    home.create()
    return home


def test_secrets_are_generated_once(home: Home) -> None:
    first = State.load_or_create(home)
    assert State.load_or_create(home) == first == State.load(home)
    assert len(set(first.secrets.values())) == len(SECRETS)
    assert len(first.secrets["airflow_jwt"]) >= 64


def test_state_is_readable_by_its_owner_only(home: Home) -> None:
    State.load_or_create(home)
    assert stat.S_IMODE(home.state_file.stat().st_mode) == 0o600


def test_no_stack_is_an_error_that_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="python -m local_stack up"):
        State.load(Home.at(tmp_path))


def test_lost_passwords_are_not_replaced_silently(home: Home) -> None:
    (home.path / "postgres").mkdir()
    (home.path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(LocalStackError, match="passwords"):
        State.load_or_create(home)


def test_damaged_state_says_what_to_do(home: Home) -> None:
    home.state_file.write_text("{")
    with pytest.raises(LocalStackError, match="delete"):
        State.load_or_create(home)


def test_git_ignores_the_folder(home: Home) -> None:
    assert (home.path / ".gitignore").read_text() == "*\n"

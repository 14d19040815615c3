"""A configured port is used or refused; any other port gives way."""

import socket
from collections.abc import Iterator

import pytest

from local_stack.errors import LocalStackError, PortTakenError
from local_stack.ports import GRPC_OFFSET, HOST, PortRule, choose

PLAIN = PortRule("plain", 25432, "PLAIN_PORT")


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    return choose(PLAIN, kept=None, taken=frozenset(), prefer_default=False, environ={})


def test_configured_port_is_used() -> None:
    port = free_port()
    environ = {"PLAIN_PORT": str(port)}
    assert choose(PLAIN, kept=1, taken=frozenset(), prefer_default=True, environ=environ) == port


def test_configured_port_that_is_taken_is_an_error_naming_port_variable_and_remedy(busy: int) -> None:
    with pytest.raises(PortTakenError) as caught:
        choose(PLAIN, kept=None, taken=frozenset(), prefer_default=True, environ={"PLAIN_PORT": str(busy)})
    assert f"Port {busy} is in use" in str(caught.value)
    assert f"PLAIN_PORT={busy}" in str(caught.value)
    assert "set PLAIN_PORT to a free port" in caught.value.remedy


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_configured_port_must_be_a_port(text: str) -> None:
    with pytest.raises(LocalStackError, match="PLAIN_PORT"):
        choose(PLAIN, kept=None, taken=frozenset(), prefer_default=True, environ={"PLAIN_PORT": text})


def test_grpc_side_must_be_a_port_too() -> None:
    rule = PortRule("grpc", 25432, "GRPC_PORT", (0, GRPC_OFFSET))
    with pytest.raises(LocalStackError, match="from 1 to 55535"):
        choose(rule, kept=None, taken=frozenset(), prefer_default=True, environ={"GRPC_PORT": "60000"})


def test_kept_port_comes_before_the_default() -> None:
    kept = free_port()
    assert choose(PLAIN, kept=kept, taken=frozenset(), prefer_default=True, environ={}) == kept


def test_busy_kept_port_gives_way(busy: int) -> None:
    assert choose(PLAIN, kept=busy, taken=frozenset(), prefer_default=False, environ={}) != busy


def test_busy_default_gives_way(busy: int) -> None:
    rule = PortRule("plain", busy)
    assert choose(rule, kept=None, taken=frozenset(), prefer_default=True, environ={}) != busy


def test_port_promised_to_another_server_is_not_given_twice() -> None:
    kept = free_port()
    assert choose(PLAIN, kept=kept, taken={kept}, prefer_default=False, environ={}) != kept


def test_default_whose_grpc_side_is_busy_gives_way(busy: int) -> None:
    rule = PortRule("grpc", busy - GRPC_OFFSET, None, (0, GRPC_OFFSET))
    assert choose(rule, kept=None, taken=frozenset(), prefer_default=True, environ={}) != busy - GRPC_OFFSET

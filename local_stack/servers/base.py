"""What the stack needs to know about a server in order to start, watch and stop it."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import psutil

from local_stack import processes
from local_stack.home import REPO, Home
from local_stack.ports import HOST
from local_stack.processes import Account
from local_stack.state import State


class Server(ABC):
    """One server of a stack. It is described here; `local_stack.stack` does the starting and stopping."""

    name: ClassVar[str]
    title: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]  # the first one is the port that clients use
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_timeout: ClassVar[float] = 20.0

    def __init__(self, home: Home, state: State) -> None:
        self.home = home
        self.state = state

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self.state.ports[self.port_names[0]]

    @property
    def address(self) -> str:
        """What to show a person."""
        return f"{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder that holds this server's data."""
        return self.home.path / self.name

    @property
    def log(self) -> Path:
        """The file that takes everything the server prints."""
        return self.home.logs / f"{self.name}.log"

    @property
    def account(self) -> Account | None:
        """The user to run as, when it can't be ours."""
        return None

    def prepare(self, tell: Callable[[str], None]) -> None:  # noqa: B027 - not every server has files to prepare
        """Bring files into the state that the server needs to start; called before every start.

        `tell` shows a person why it takes long.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that runs the server in the foreground."""

    def environ(self) -> dict[str, str]:
        """The server's environment variables."""
        return dict(os.environ)

    @abstractmethod
    def is_healthy(self) -> bool:
        """Whether the server answers and is usable; any exception means no."""

    def provision(self) -> None:  # noqa: B027 - not every server needs it
        """Create what clients expect to find inside the server; called after every start, must be repeatable."""

    def clean(self) -> None:  # noqa: B027 - not every server leaves files outside its folder
        """Remove what the server leaves outside the stack's folder; called after every stop."""

    def family(self) -> list[psutil.Process]:
        """Every living process of this server, also those that lost their parent."""
        return processes.family(self.home, self.name)


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this package with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def python_environ() -> dict[str, str]:
    """An environment in which a child finds this package, wherever it is started."""
    paths = [str(REPO), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    path = os.pathsep.join(dict.fromkeys(paths))
    return {**os.environ, "PYTHONPATH": path, "PYTHONTZPATH": "", "PYTHONUNBUFFERED": "1"}


def http_status(url: str, *, timeout: float = 20.0) -> int:
    """The status of a GET on a loopback address."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 - always http on loopback
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code

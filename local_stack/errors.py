"""The errors of the local stack, each with what happened and what to do about it.

LocalStackError
├── PortTakenError      a configured port is in use
├── ServerStartError    a server died or never became healthy; carries its last log lines
└── SeedError           the sample data did not arrive completely
"""


class LocalStackError(Exception):
    """Something that the person who started the stack can act on; `remedy` says how."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\nWhat to do: {self.remedy}"


class PortTakenError(LocalStackError):
    """A port that was configured explicitly is in use by another process."""


class ServerStartError(LocalStackError):
    """A server died while it started, or did not become healthy in time."""


class SeedError(LocalStackError):
    """The index does not hold exactly the flights that were asked for."""

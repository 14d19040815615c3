"""Where a stack keeps its data, and where all stacks of a machine share their downloads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """One stack's folder. Everything that a stack writes, except shared downloads, is below it."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """`LOCAL_STACK_HOME`, else `.local_stack` in the repository."""
        return cls.at(os.environ.get("LOCAL_STACK_HOME") or REPO / ".local_stack")

    @classmethod
    def at(cls, path: str | Path) -> Home:
        """The stack in `path`, made absolute so that it means the same in every process."""
        return cls(Path(path).expanduser().resolve())

    def create(self) -> None:
        """Make the folder: closed to other users, except that Postgres' own user may pass through when root runs it."""
        _create_ignored_folder(self.path)
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.run, self.logs):
            folder.mkdir(exist_ok=True, mode=0o700)

    @property
    def exists(self) -> bool:
        """Whether a stack was ever started here."""
        return self.state_file.exists()

    @property
    def state_file(self) -> Path:
        """Ports and secrets of this stack, readable by its owner only."""
        return self.path / "state.json"

    @property
    def lock_file(self) -> Path:
        """Held by `up` and `down`, so that two of them never work on one stack at once."""
        return self.path / "lock"

    @property
    def run(self) -> Path:
        """One small file per started process: its pid and when it was created."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """One log file per server."""
        return self.path / "logs"

    @property
    def tls(self) -> Path:
        """The stack's own certificate authority, and the certificate of the Snowflake emulator."""
        return self.path / "tls"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME of this stack."""
        return self.path / "airflow"


def cache_folder() -> Path:
    """`LOCAL_STACK_CACHE`, else `.local_stack_cache` in the repository: downloads that all stacks share."""
    folder = Path(os.environ.get("LOCAL_STACK_CACHE") or REPO / ".local_stack_cache").expanduser().resolve()
    _create_ignored_folder(folder)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write `text` so that nobody but the owner can ever read it, and so that a reader never sees half of it."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def _create_ignored_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")

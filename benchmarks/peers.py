"""The peers' own environment: what `requirements-peers.txt` names is installed once, beside the product's packages."""

from __future__ import annotations

import subprocess
import venv

from benchmarks.builds import REPO

_FOLDER = REPO / ".benchmark_peers"


def peer_python() -> str:
    """Return the Python of the environment, which is made when it is missing or the requirements have changed."""
    python, requirements = _FOLDER / "bin" / "python", REPO / "benchmarks" / "requirements-peers.txt"
    installed = _FOLDER / "installed.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        venv.create(_FOLDER, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
        installed.write_text(wanted, encoding="utf-8")
    return str(python)

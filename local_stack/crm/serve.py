"""The simulated CRM as a server of the local stack: secrets and port from the stack's state, its data kept beside."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from datetime import datetime
from pathlib import Path

from local_stack.crm.kept import keep, kept_data
from local_stack.crm.reports import INDIA, SYSTEMS
from local_stack.crm.server import CrmServer
from local_stack.crm.service import Crm
from local_stack.home import Home
from local_stack.state import State


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = Home.at(parser.parse_args().home)
    state = State.load(home)
    data = kept_data(home, today=datetime.fromtimestamp(time.time(), INDIA).date())
    crm = Crm(
        data,
        clients={system: (f"crm_{system}", state.secrets[f"crm_{system}"]) for system in SYSTEMS},
        control_token=state.secrets["crm_control"],
        keep=lambda changed: keep(home, changed),
    )
    server = CrmServer(crm, state.ports["crm"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()

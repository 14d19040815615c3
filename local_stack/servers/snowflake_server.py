"""Runs fakesnow as a server: over TLS, with its databases on disk, reading stages from the stack's S3 server.

Wraps **fakesnow 0.12.1**, and mends what keeps a real Snowflake client from working against it; `snowflake_mends` lists
what and why. Re-check each mend when fakesnow's version changes.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    import fakesnow.server
    import uvicorn
    from fakesnow.instance import FakeSnow

    from local_stack import certificates
    from local_stack.home import Home
    from local_stack.ports import HOST
    from local_stack.servers import snowflake_mends
    from local_stack.servers.s3 import REGION
    from local_stack.servers.s3_filesystem import S3FileSystem
    from local_stack.servers.snowflake import DATABASE, SCHEMA
    from local_stack.state import State

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home = Home.at(parser.parse_args().home)
    state = State.load(home)

    snowflake_mends.patch_fakesnow()
    instance = FakeSnow(db_path=home.path / "snowflake", nop_regexes=list(snowflake_mends.NO_OPERATION))
    instance.results_cache = snowflake_mends.RecentResults()
    instance.connect(DATABASE, SCHEMA).close()
    if "s3" in state.ports:
        instance.duck_conn.register_filesystem(
            S3FileSystem(
                endpoint=f"http://{HOST}:{state.ports['s3']}",
                access_key=state.secrets["s3_access_key"],
                secret_key=state.secrets["s3_secret_key"],
                region=REGION,
            )
        )
    fakesnow.server.shared_fs = instance
    uvicorn.run(
        snowflake_mends.MendedApp(fakesnow.server),
        host=HOST,
        port=state.ports["snowflake"],
        log_level="warning",
        ssl_certfile=str(certificates.certificate_file(home)),
        ssl_keyfile=str(certificates.key_file(home)),
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()

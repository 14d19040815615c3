"""A complete local stack: real servers on loopback ports, without Docker, root or a system Java.

`python -m local_stack up` starts a real Postgres, a real Elasticsearch, a real S3 server, a Snowflake
emulator and a simulated CRM in one data folder; `up --airflow` adds Airflow itself. Everything is reached through the
real client libraries and Airflow connections, so the code that runs in production runs here. A development dependency:
nothing in the product imports it.
"""

import sys
from importlib.util import find_spec

if find_spec("rich") is None:  # a system Python: say so instead of a traceback
    sys.exit("This Python has none of the project's packages. Run `make up` once, then use .venv/bin/python.")

#!/usr/bin/env bash
# apache-airflow-providers-amazon 9.39.0, apache-airflow 3.3.2, boto3 1.44.5, Python 3.11 or newer.
#
# Guess:    `S3Hook.get_conn()` costs what a boto3 client costs.
# Seen:     the hook also puts the name of the calling operator's class into the client's User-Agent. To find it, it calls
#           `inspect.stack()`, which reads source lines and looks for the module of *every* frame, through all of
#           `sys.modules`. In a process that has imported what an Airflow task imports, most of `get_conn()` is that, and it
#           is paid anew for each client of each task, because a task's process is a fork of its own.
# Output:   `inspect.stack() calls by get_conn(): 1 or more; by the session's client(): 0`, and the share of the time.
# Way out:  `hook.get_session().client("s3", endpoint_url=…, config=hook.config, verify=hook.verify)`.
#
# Fails when the hook no longer inspects the stack, or when that no longer takes a quarter of its time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 boto3==1.44.5 \
    botocore==1.44.5 pandas==3.1.1
export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:///$folder/airflow.db"
export AIRFLOW_CONN_SOME_S3='{"conn_type": "aws", "login": "key", "password": "secret", "extra": {"region_name": "us-east-1"}}'
"$folder/venv/bin/python" - <<'PYTHON'
import inspect
import statistics
import time

import airflow.sdk  # noqa: F401  what a task's process has imported, too
import pandas  # noqa: F401
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

calls, seconds, stack = 0, 0.0, inspect.stack


def counted(*arguments):
    global calls, seconds
    calls, began = calls + 1, time.process_time()
    try:
        return stack(*arguments)
    finally:
        seconds += time.process_time() - began


def through_the_hook():
    S3Hook(aws_conn_id="some_s3").get_conn()


def through_its_session():
    hook = S3Hook(aws_conn_id="some_s3")
    hook.get_session().client("s3", config=hook.config, verify=hook.verify)


def cost(make):
    began = time.process_time()
    make()
    return time.process_time() - began


inspect.stack = counted
shares, found = [], {}
for make in (through_the_hook, through_its_session):
    make()  # files are read and modules imported the first time
    calls = 0
    for _ in range(9):
        seconds = 0.0
        total = cost(make)
        if make is through_the_hook:
            shares.append(seconds / total)
    found[make.__name__] = calls / 9
share = statistics.median(shares)
print(f"inspect.stack() calls by get_conn(): {found['through_the_hook']:g}; by the session's client(): {found['through_its_session']:g}")
print(f"share of get_conn()'s CPU time: {share:.0%}")
assert found["through_the_hook"] >= 1, "the hook no longer inspects the stack"
assert found["through_its_session"] == 0, "the session inspects the stack, too"
assert share > 0.25, "it no longer takes a quarter of the time"
PYTHON

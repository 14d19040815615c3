#!/usr/bin/env bash
# apache-airflow-providers-amazon 9.39.0, apache-airflow 3.3.2, boto3 1.44.5, Python 3.11 or newer.
#
# Guess:    `S3Hook.get_conn()` costs what a boto3 client costs.
# Seen:     the hook also puts the name of the calling operator's class into the client's User-Agent. To find it, it calls
#           `inspect.stack()`, which reads source lines and looks for the module of *every* frame, through all of
#           `sys.modules`. Python remembers that within a process, but each Airflow task is a fork of its own, so each pays
#           it anew with its first client, and the more modules are imported, the more it pays.
# Output:   inspect.stack() calls by get_conn(): 2; by the session's client(): 0
#           share of get_conn()'s CPU time: 38%
# Way out:  `hook.get_session().client("s3", endpoint_url=…, config=hook.config, verify=hook.verify)`.
#
# Fails when the hook no longer inspects the stack, or when that no longer takes a seventh of its time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 boto3==1.44.5 \
    botocore==1.44.5 pandas==3.1.1
export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:///$folder/airflow.db"
export AIRFLOW_CONN_SOME_S3='{"conn_type": "aws", "login": "key", "password": "secret", "extra": {"region_name": "us-east-1"}}'
"$folder/venv/bin/python" - <<'PYTHON' 2>"$folder/log" || { cat "$folder/log"; exit 1; }
import inspect
import json
import os
import statistics
import time

import airflow.sdk  # noqa: F401  what the process has imported from which Airflow forks its tasks
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


def in_a_task(make):
    """What a fork pays that makes one client, as a task does: calls of inspect.stack(), its share of the CPU time."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        inspect.stack = counted
        began = time.process_time()
        make()
        os.write(writer, json.dumps([calls, seconds / (time.process_time() - began)]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found = json.loads(answer.read())
    os.wait()
    return found


hook = [in_a_task(through_the_hook) for _ in range(9)]
session = [in_a_task(through_its_session) for _ in range(9)]
share = statistics.median(found[1] for found in hook)
print(f"inspect.stack() calls by get_conn(): {hook[0][0]}; by the session's client(): {session[0][0]}")
print(f"share of get_conn()'s CPU time: {share:.0%}")
assert hook[0][0] >= 1, "the hook no longer inspects the stack"
assert session[0][0] == 0, "the session inspects the stack, too"
assert share > 0.15, "it no longer takes a seventh of the time"
PYTHON

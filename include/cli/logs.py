"""Sends a command's logs to standard error: warnings, with `-v` also the framework's steps, never a connector's."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

_AIRFLOWS_LEVEL = "AIRFLOW__LOGGING__LOGGING_LEVEL"
"""Airflow sets logging up anew when it is imported, which a command does late, and writes to standard output."""

_CHATTY = ("airflow", "boto3", "botocore", "elastic_transport", "elasticsearch", "httpx", "snowflake", "urllib3")


@contextmanager
def logging_to_stderr(*, is_verbose: bool) -> Iterator[None]:
    """Set up the standard library's logging and structlog for a command, and restore both afterwards.

    Args:
        is_verbose: Show the framework's steps, not only warnings.
    """
    level = logging.INFO if is_verbose else logging.WARNING
    before, levels = structlog.get_config(), {name: logging.getLogger(name).level for name in ("include", *_CHATTY)}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    ours = logging.getLogger("include")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # The renderer's own tracebacks print every local variable, including passwords.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    is_set = _AIRFLOWS_LEVEL in os.environ
    os.environ.setdefault(_AIRFLOWS_LEVEL, "ERROR")
    ours.setLevel(level)
    ours.addHandler(handler)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        if not is_set:
            del os.environ[_AIRFLOWS_LEVEL]
        structlog.configure(**before)
        for name, was in levels.items():
            logging.getLogger(name).setLevel(was)

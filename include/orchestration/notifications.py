"""E-mail on failure and on retry, through the SMTP provider's notifier and the connection `smtp_default`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig

SUBJECT = "[{state}] {{{{ dag.dag_id }}}} {{{{ ti.task_id }}}} {{{{ ti.rendered_map_index or '' }}}}"
BODY = (
    "<p>Task <b>{{ ti.task_id }}</b> {{ ti.rendered_map_index or '' }} of run {{ run_id }}, "
    "try {{ ti.try_number }}.</p>"
    "<pre>{{ exception | e }}</pre>"
    '<p><a href="{{ ti.log_url }}">Log</a></p>'
)


@dataclass(frozen=True)
class Mail:
    """A task's callback; each mail gets a notifier of its own.

    A notifier replaces its templates with the rendered texts (apache-airflow 3.3.0). In a process that runs several
    callbacks (`airflow dags test`, or the DAG processor that handles killed tasks), every later mail would repeat the
    first one.
    """

    to: list[str]
    subject: str
    html_content: str = BODY

    def __call__(self, context: Any) -> None:
        """Send the mail."""
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        SmtpNotifier(to=list(self.to), subject=self.subject, html_content=self.html_content)(context)


def email_notifiers(config: PipelineConfig) -> dict[str, Any]:
    """Return callbacks for `default_args`; none if the pipeline asks for none."""
    callbacks = {}
    if config.email_on_failure:
        callbacks["on_failure_callback"] = Mail(config.email_list, SUBJECT.format(state="failed"))
    if config.email_on_retry:
        callbacks["on_retry_callback"] = Mail(config.email_list, SUBJECT.format(state="retry"))
    return callbacks

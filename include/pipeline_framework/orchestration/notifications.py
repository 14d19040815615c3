"""E-mail on failure and on retry, through the SMTP provider's notifier and the connection `smtp_default`."""

from __future__ import annotations

from typing import Any

from include.pipeline_framework.config.models import PipelineConfig

SUBJECT = "[{state}] {{{{ dag.dag_id }}}} {{{{ ti.task_id }}}} {{{{ ti.rendered_map_index or '' }}}}"
BODY = (
    "<p>Task <b>{{ ti.task_id }}</b> {{ ti.rendered_map_index or '' }} of run {{ run_id }}, "
    "try {{ ti.try_number }}.</p>"
    "<pre>{{ exception | e }}</pre>"
    '<p><a href="{{ ti.log_url }}">Log</a></p>'
)


def email_notifiers(config: PipelineConfig) -> dict[str, Any]:
    """Callbacks for `default_args`; nothing when the pipeline asks for none."""
    if not (config.email_on_failure or config.email_on_retry):
        return {}
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    def notifier(state: str) -> Any:
        return SmtpNotifier(to=list(config.email_list), subject=SUBJECT.format(state=state), html_content=BODY)

    callbacks = {}
    if config.email_on_failure:
        callbacks["on_failure_callback"] = notifier("failed")
    if config.email_on_retry:
        callbacks["on_retry_callback"] = notifier("retry")
    return callbacks

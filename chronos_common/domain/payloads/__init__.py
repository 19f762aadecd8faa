"""What each type of job does, parsed from the JSON that its user wrote to what is sent.

The API checks payloads with these rules before it stores them; workers parse what is stored with
the same ones, so that a payload made invalid behind the API's back fails as that job's failure.
"""

from collections.abc import Callable, Mapping
from typing import Any

from chronos_common.domain.addresses import is_email_address
from chronos_common.domain.jobs import JobType
from chronos_common.domain.payloads import celery_tasks, emails, webhooks
from chronos_common.domain.payloads.celery_tasks import CeleryTask
from chronos_common.domain.payloads.emails import (
    MAX_RECIPIENTS,
    MAX_SUBJECT_LENGTH,
    Email,
    mailboxes,
)
from chronos_common.domain.payloads.reader import Reader
from chronos_common.domain.payloads.webhooks import MAX_HEADERS, METHODS, Webhook
from chronos_common.domain.urls import MAX_URL_LENGTH
from chronos_common.errors import Invalid

__all__ = [
    "MAX_HEADERS",
    "MAX_RECIPIENTS",
    "MAX_SUBJECT_LENGTH",
    "MAX_URL_LENGTH",
    "METHODS",
    "CeleryTask",
    "Email",
    "Payload",
    "Webhook",
    "is_email_address",
    "mailboxes",
    "parse",
    "uses_default",
]

Payload = Webhook | Email | CeleryTask


def parse(
    job_type: JobType, payload: Mapping[str, Any], *, default_url: str | None = None
) -> Payload:
    """Return ``payload`` as what a job of ``job_type`` does.

    A webhook's payload without a ``url`` goes as JSON to ``default_url``, as it is.
    Raises :class:`Invalid` with every wrong field, each named as in ``payload.url``.
    """
    if not isinstance(payload, Mapping):
        raise Invalid({"payload": ["Must be an object."]})
    is_for_default = uses_default(job_type, payload)
    if is_for_default and default_url is not None:
        reader = Reader({"url": default_url, "body": dict(payload)})
    else:
        reader = Reader(payload)
    parsed = _PARSERS[job_type](reader)
    if not (is_for_default and webhooks.FIELDS.isdisjoint(payload)):
        reader.refuse_the_rest()
    if reader.errors:
        raise Invalid(reader.errors)
    return parsed


def uses_default(job_type: JobType, payload: Mapping[str, Any]) -> bool:
    """Tell whether the workspace's default webhook gets this payload."""
    return job_type is JobType.WEBHOOK and isinstance(payload, Mapping) and "url" not in payload


_PARSERS: dict[JobType, Callable[[Reader], Payload]] = {
    JobType.WEBHOOK: webhooks.parse,
    JobType.EMAIL: emails.parse,
    JobType.CELERY_TASK: celery_tasks.parse,
}

"""The e-mail action: one message per execution, with the same Message-ID on every attempt."""

import time
from typing import Any

from chronos_common import clock
from chronos_common.domain import payloads
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import Email
from chronos_common.errors import Invalid
from chronos_worker import mail
from chronos_worker.mail import Delivery, Mailer, MailFailed


def perform(execution: Claimed, job: JobSpec, *, mailer: Mailer) -> tuple[Outcome, Attempt]:
    """Send the job's e-mail once; the wait for the server is bounded by the job's timeout.

    Raises :class:`Invalid` if the stored payload cannot be sent.
    """
    email = payloads.parse(job.type, job.payload)
    if not isinstance(email, Email):
        raise Invalid({"type": ["Must be email."]})
    started_at, started = clock.now(), time.monotonic()
    message = mail.build(email, message_id=execution.id, sent_at=started_at)
    message["X-Chronos-Job-Id"] = str(job.id)
    message["X-Chronos-Execution-Id"] = str(execution.id)
    message["X-Chronos-Attempt"] = str(execution.attempt)
    delivery = None
    try:
        delivery = mailer.send(
            message, timeout_seconds=min(job.timeout_seconds, mail.TIMEOUT_SECONDS)
        )
    except MailFailed as error:
        outcome: Outcome = Failed(str(error), permanent=error.permanent)
    else:
        outcome = _judge(email, delivery)
    return outcome, Attempt(
        started_at=started_at,
        duration_ms=round((time.monotonic() - started) * 1000),
        request={
            "to": list(email.to),
            "cc": list(email.cc),
            "subject": email.subject,
            "message_id": message["Message-ID"],
        },
        response=_response(email, delivery),
    )


def _judge(email: Email, delivery: Delivery) -> Outcome:
    """Call a refused recipient a failure, but a permanent one: the others have the message."""
    if not delivery.refused:
        return Succeeded()
    refused = "; ".join(f"{address} ({why})" for address, why in delivery.refused.items())
    accepted = ", ".join(each for each in _recipients(email) if each not in delivery.refused)
    return Failed(
        f"Not delivered to {refused}; these have the message: {accepted}.", permanent=True
    )


def _recipients(email: Email) -> list[str]:
    return [*email.to, *email.cc]


def _response(email: Email, delivery: Delivery | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {
        "via": delivery.via,
        "accepted": [each for each in _recipients(email) if each not in delivery.refused],
        "refused": dict(delivery.refused),
    }

"""The email action: a message to one or more addresses."""

import time
from datetime import datetime

from chronos_common import clock
from chronos_common.domain import payloads
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import Email
from chronos_worker.mail import Delivery, Mailer, MailFailed, build


def perform(execution: Claimed, job: JobSpec, *, mailer: Mailer) -> tuple[Outcome, Attempt]:
    """Send the message, within the bounds of the mailer.

    A repeated execution carries the same Message-ID. If some recipients were refused, the others
    have the message: trying again would send it to them twice, so that is a permanent failure.
    Raises :class:`chronos_common.errors.Invalid` if the stored payload cannot be sent.
    """
    email = payloads.parse(job.type, job.payload)
    assert isinstance(email, Email)
    started_at, started = clock.now(), time.monotonic()
    try:
        message = build(email, message_id=execution.id, sent_at=started_at)
        delivery = mailer.send(message)
    except MailFailed as error:
        return Failed(str(error), permanent=error.permanent), _attempt(email, started_at, started)
    outcome: Outcome = Succeeded()
    if delivery.refused:
        outcome = Failed(_partly_refused(delivery), permanent=True)
    return outcome, _attempt(email, started_at, started, delivery)


def _partly_refused(delivery: Delivery) -> str:
    refused = ", ".join(f"{address} ({words})" for address, words in delivery.refused.items())
    return f"Not delivered to {refused}; the other recipients have the message."


def _attempt(
    email: Email, started_at: datetime, started: float, delivery: Delivery | None = None
) -> Attempt:
    return Attempt(
        started_at=started_at,
        duration_ms=round((time.monotonic() - started) * 1000),
        request={"to": list(email.to), "cc": list(email.cc), "subject": email.subject},
        response={"via": delivery.via, "refused": dict(delivery.refused)} if delivery else None,
    )

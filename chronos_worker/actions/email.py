"""The e-mail action: one message per execution, with the same Message-ID on every attempt.

Recipients are settled one by one. By the history of the earlier attempts, an attempt leaves out
recipients who have the message or were refused for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import partial
from typing import Any, Self

from chronos_common import clock
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import EMAIL, Email, mailboxes
from chronos_worker.actions import TEST_HEADER, History, Tools
from chronos_worker.attempts import Action, Deadline
from chronos_worker.delivery import Delivery, NotDelivered
from chronos_worker.emails import message as messages
from chronos_worker.emails import permission
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import Permit


@dataclass(slots=True)
class _Recipients:
    """The recipients that are settled: accepted, or refused for good, with the server's reason."""

    accepted: set[str] = field(default_factory=set)
    refused_for_good: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]]) -> Self:
        """Return the recipients that earlier attempts have settled."""
        recipients = cls()
        for attempt in history:
            response = attempt.get("response") or {}
            recipients.accepted.update(response.get("accepted", ()))
            for address in response.get("refused_for_good", ()):
                recipients.refused_for_good[address] = response["refused"][address]
        return recipients

    def add(self, delivery: Delivery) -> None:
        """Add the recipients that this attempt has settled."""
        self.accepted.update(delivery.accepted)
        self.refused_for_good.update(delivery.refused_for_good)

    def is_settled(self, address: str) -> bool:
        """Return whether a recipient has the message or will never get it."""
        return address in self.accepted or address in self.refused_for_good


def build(tools: Tools) -> Action:
    """Return the action."""
    return partial(
        perform,
        mailer=tools.mailer,
        permit=tools.permission.sending,
        history=tools.history,
        is_test=tools.is_test,
    )


def perform(
    execution: Claimed,
    job: JobSpec,
    *,
    mailer: Mailer,
    permit: Permit = permission.unlimited,
    history: History = lambda _: (),
    is_test: bool = False,
) -> tuple[Outcome, Attempt]:
    """Send the job's e-mail to the recipients that are not settled, within the job's timeout.

    Raises :class:`chronos_common.errors.Invalid` if the stored payload cannot be sent.
    """
    deadline = Deadline(job.timeout_seconds)
    email = EMAIL.parse(job.payload)
    started_at = clock.now()
    message = messages.build(email, message_id=execution.id, sent_at=started_at)
    _add_headers(message, execution, job, is_test=is_test)
    recipients = _Recipients.of(history(execution))
    waiting = [each for each in mailboxes(email) if not recipients.is_settled(each)]
    delivery, error = None, None
    if waiting:
        try:
            with permit(job.workspace_id, len(waiting)) as sending:
                delivery = mailer.send(message, waiting, deadline=deadline)
                sending.delivery = delivery
        except NotDelivered as failure:
            error = failure
        else:
            recipients.add(delivery)
    return _judge(recipients, delivery, error), Attempt(
        started_at=started_at,
        duration_ms=round(deadline.spent() * 1000),
        request=_request(email, message),
        response=_response(delivery),
    )


def _add_headers(
    message: EmailMessage, execution: Claimed, job: JobSpec, *, is_test: bool
) -> None:
    message["X-Chronos-Job-Id"] = str(job.id)
    message["X-Chronos-Execution-Id"] = str(execution.id)
    message["X-Chronos-Attempt"] = str(execution.attempt)
    if is_test:
        message[TEST_HEADER] = "true"


def _judge(
    recipients: _Recipients, delivery: Delivery | None, error: NotDelivered | None
) -> Outcome:
    """Return a failure as long as a recipient lacks the message.

    The failure is permanent once all recipients are settled.
    """
    waiting = delivery.deferred if delivery else {}
    refused = recipients.refused_for_good | waiting
    sentences = [str(error)] if error else []
    if refused:
        sentences.append(f"The mail server refused {_enumerated(refused)}.")
    if not sentences:
        return Succeeded()
    if recipients.accepted:
        sentences.append(f"These have the message: {', '.join(sorted(recipients.accepted))}.")
    is_permanent = error.permanent if error else not waiting
    return Failed(" ".join(sentences), permanent=is_permanent)


def _enumerated(refused: Mapping[str, str]) -> str:
    return "; ".join(f"{address} ({reason})" for address, reason in refused.items())


def _request(email: Email, message: EmailMessage) -> dict[str, Any]:
    return {
        "to": list(email.to),
        "cc": list(email.cc),
        "bcc": list(email.bcc),
        "subject": email.subject,
        "message_id": message["Message-ID"],
    }


def _response(delivery: Delivery | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {
        "via": delivery.via,
        "accepted": list(delivery.accepted),
        "refused": {address: refusal.reason for address, refusal in delivery.refused.items()},
        "refused_for_good": list(delivery.refused_for_good),
    }

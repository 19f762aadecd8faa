"""The e-mail action: one message per execution, with the same Message-ID on every attempt.

Each recipient has a fate of its own. An attempt sends to those who, by the history of the attempts
before, neither have the message nor were refused for good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from chronos_common import clock
from chronos_common.domain import payloads
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import Email
from chronos_common.errors import Invalid
from chronos_worker.attempts import Deadline
from chronos_worker.delivery import Delivery
from chronos_worker.emails import message as messages
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.smtp import MailFailed

#: Returns the history of an execution's earlier attempts.
History = Callable[[Claimed], Sequence[Mapping[str, Any]]]


@dataclass(slots=True)
class _Fates:
    """Who has the message, and who is never to get it, with the mail server's words."""

    accepted: set[str] = field(default_factory=set)
    refused_for_good: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]]) -> Self:
        """Return what earlier attempts have settled."""
        fates = cls()
        for attempt in history:
            response = attempt.get("response") or {}
            fates.accepted.update(response.get("accepted", ()))
            for address in response.get("refused_for_good", ()):
                fates.refused_for_good[address] = response["refused"][address]
        return fates

    def add(self, delivery: Delivery) -> None:
        """Add what this attempt has settled."""
        self.accepted.update(delivery.accepted)
        self.refused_for_good.update(delivery.refused_for_good)

    def are_settled_for(self, address: str) -> bool:
        """Return whether nothing is left to do for a recipient."""
        return address in self.accepted or address in self.refused_for_good


def perform(
    execution: Claimed, job: JobSpec, *, mailer: Mailer, history: History = lambda _: ()
) -> tuple[Outcome, Attempt]:
    """Send the job's e-mail to whoever lacks it; all of that ends at the job's timeout.

    Raises :class:`Invalid` if the stored payload cannot be sent.
    """
    deadline = Deadline(job.timeout_seconds)
    email = payloads.parse(job.type, job.payload)
    if not isinstance(email, Email):
        raise Invalid({"type": ["Must be email."]})
    started_at = clock.now()
    message = messages.build(email, message_id=execution.id, sent_at=started_at)
    message["X-Chronos-Job-Id"] = str(job.id)
    message["X-Chronos-Execution-Id"] = str(execution.id)
    message["X-Chronos-Attempt"] = str(execution.attempt)
    fates = _Fates.of(history(execution))
    waiting = [each for each in payloads.mailboxes(email) if not fates.are_settled_for(each)]
    delivery, error = None, None
    if waiting:
        try:
            delivery = mailer.send(message, waiting, deadline=deadline)
        except MailFailed as failure:
            error = failure
        else:
            fates.add(delivery)
    return _judge(fates, delivery, error), Attempt(
        started_at=started_at,
        duration_ms=round(deadline.spent() * 1000),
        request={
            "to": list(email.to),
            "cc": list(email.cc),
            "bcc": list(email.bcc),
            "subject": email.subject,
            "message_id": message["Message-ID"],
        },
        response=_response(delivery),
    )


def _judge(fates: _Fates, delivery: Delivery | None, error: MailFailed | None) -> Outcome:
    """Call it a failure as long as somebody lacks the message.

    It is a permanent one if everybody else has it or was refused for good.
    """
    waiting = delivery.deferred if delivery else {}
    refused = fates.refused_for_good | waiting
    sentences = [str(error)] if error else []
    if refused:
        sentences.append(f"The mail server refused {_listed(refused)}.")
    if not sentences:
        return Succeeded()
    if fates.accepted:
        sentences.append(f"These have the message: {', '.join(sorted(fates.accepted))}.")
    is_permanent = error.permanent if error else not waiting
    return Failed(" ".join(sentences), permanent=is_permanent)


def _listed(refused: Mapping[str, str]) -> str:
    return "; ".join(f"{address} ({words})" for address, words in refused.items())


def _response(delivery: Delivery | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {
        "via": delivery.via,
        "accepted": list(delivery.accepted),
        "refused": {address: refusal.reason for address, refusal in delivery.refused.items()},
        "refused_for_good": list(delivery.refused_for_good),
    }

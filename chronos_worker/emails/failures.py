"""Notices: the e-mails that Chronos itself sends, from the outboxes.

Those that tell somebody of a final failure are sent here, those about accounts in ``letters``.
Each recipient has a fate of its own. A notification remembers who has the mail, and who is never
to get it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.payloads import Email
from chronos_common.domain.texts import one_line
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import schedules
from chronos_common.storage.outbox import failure_emails as notifications
from chronos_common.storage.outbox.failure_emails import Notification
from chronos_common.storage.postgres.database import transaction
from chronos_worker.deadline import Deadline
from chronos_worker.emails import failure_texts, mailer
from chronos_worker.emails import message as messages
from chronos_worker.emails.accounts import Letters
from chronos_worker.emails.mailer import Delivery, Mailer
from chronos_worker.emails.replies import Refusal
from chronos_worker.emails.smtp import MailFailed

_log = structlog.get_logger(__name__)


class Notices:
    """Sends notifications and marks them, each on its own."""

    def __init__(self, engine: Engine, mailer: Mailer, *, public_url: str) -> None:
        """Take where to read, how to send, and where a reader finds the API."""
        self._engine = engine
        self._mailer = mailer
        self._public_url = public_url.rstrip("/")
        self._letters = Letters(engine, mailer, public_url=public_url)

    def send(self, identifiers: Sequence[UUID], taken_at: datetime) -> None:
        """Send what of these was taken then and not sent since; one that fails comes back."""
        for identifier in identifiers:
            notification = self._claimed(identifier, taken_at)
            if notification:
                self._send(notification)
        # Both outboxes share a queue; each knows its own ids.
        self._letters.send(identifiers, taken_at)

    def _claimed(self, identifier: UUID, taken_at: datetime) -> Notification | None:
        with transaction(self._engine) as connection:
            until = clock.now() + mailer.HOLD
            if notifications.claim(connection, identifier, taken_at=taken_at, until=until):
                return notifications.load(connection, identifier)
        return None

    def _send(self, notification: Notification) -> None:
        try:
            delivery = self._delivered(notification)
        except MailFailed as error:
            self._note_failure(notification, str(error), permanent=error.permanent)
        except Invalid as error:
            # What no message can hold will not be held by a later one.
            self._note_failure(notification, str(error), permanent=True)
        else:
            failpoints.reached("notice.sent")
            self._note(notification, delivery)

    def _delivered(self, notification: Notification) -> Delivery:
        """Send the mail to whoever lacks it; say who has it now, and for whom it was refused."""
        mailboxes, unusable = _divided(notification.recipients)
        settled = {*notification.delivered, *notification.refused}
        waiting = [each for each in mailboxes if each not in settled]
        if not waiting:
            return Delivery("", [], unusable)
        email = self._email(notification, mailboxes)
        message = messages.build(email, message_id=notification.id, sent_at=clock.now())
        delivery = self._mailer.send(
            message,
            waiting,
            deadline=Deadline(mailer.SEND_SECONDS),
            verdict_seconds=mailer.VERDICT_SECONDS,
        )
        return replace(delivery, refused={**delivery.refused, **unusable})

    def _email(self, notification: Notification, mailboxes: Sequence[str]) -> Email:
        with transaction(self._engine) as connection:
            schedule = schedules.find(connection, notification.job_id)
            if notification.failures > 1:
                errors = notifications.errors_of(connection, notification)
                return failure_texts.digest(
                    notification, mailboxes, errors, public_url=self._public_url
                )
        return failure_texts.single(notification, mailboxes, schedule, public_url=self._public_url)

    def _note(self, notification: Notification, delivery: Delivery) -> None:
        """Note each recipient's fate, and go on for those who were refused for now."""
        never = {**notification.refused, **delivery.refused_for_good}
        refused = never | delivery.deferred
        error = "; ".join(f"{address}: {words}" for address, words in refused.items()) or None
        if delivery.deferred or not (notification.delivered or delivery.accepted):
            self._note_failure(
                notification,
                error or "It has no recipients.",
                permanent=not delivery.deferred,
                delivery=delivery,
            )
            return
        with transaction(self._engine) as connection:
            _settle(connection, notification, delivery)
            notifications.mark_sent(connection, notification.id, now=clock.now(), error=error)
        metrics.NOTIFICATIONS.labels("sent").inc()

    def _note_failure(
        self,
        notification: Notification,
        error: str,
        *,
        permanent: bool,
        delivery: Delivery | None = None,
    ) -> None:
        with transaction(self._engine) as connection:
            if delivery:
                _settle(connection, notification, delivery)
            abandoned = notifications.mark_failed(
                connection,
                notification.id,
                error=error,
                permanent=permanent,
                now=clock.now(),
            )
        metrics.NOTIFICATIONS.labels("abandoned" if abandoned else "failed").inc()
        _log.warning(
            "notification not sent",
            execution_id=str(notification.execution_id),
            error=error,
            abandoned=abandoned,
        )


def _settle(connection: Connection, notification: Notification, delivery: Delivery) -> None:
    notifications.settle(
        connection,
        notification.id,
        delivered=delivery.accepted,
        refused=delivery.refused_for_good,
    )


def _divided(addresses: Sequence[str]) -> tuple[list[str], dict[str, Refusal]]:
    """Return the mailboxes, each once, and which addresses are none: they hold nobody else up."""
    mailboxes: list[str] = []
    unusable: dict[str, Refusal] = {}
    for address in addresses:
        try:
            mailboxes.append(ascii_address(address))
        except ValueError as error:
            unusable[one_line(address)] = Refusal(str(error), is_permanent=True)
    return list(dict.fromkeys(mailboxes)), unusable

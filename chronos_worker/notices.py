"""Notices: the e-mails that tell somebody of a final failure, from the outbox."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, metrics
from chronos_common.domain.payloads import Email
from chronos_common.storage import notifications
from chronos_common.storage.database import transaction
from chronos_common.storage.notifications import Notification
from chronos_worker import mail
from chronos_worker.mail import Mailer, MailFailed

_log = structlog.get_logger(__name__)

_TEXT = """\
The job "{name}" failed, and Chronos does not try it again by itself.

Scheduled for: {scheduled_for}
Gave up at:    {finished_at}
Attempts:      {attempts}
Error:         {error}

What was sent and what came back:
{public_url}/api/v1/executions/{execution_id}

To run it again: POST {public_url}/api/v1/executions/{execution_id}/retry
To change who gets this mail, set "notify" of the job:
{public_url}/api/v1/jobs/{job_id}
"""


class Notices:
    """Sends notifications and marks them, each on its own."""

    def __init__(self, engine: Engine, mailer: Mailer, *, public_url: str) -> None:
        """Take where to read, how to send, and where a reader finds the API."""
        self._engine = engine
        self._mailer = mailer
        self._public_url = public_url.rstrip("/")

    def send(self, identifiers: Sequence[UUID], _fire_at: datetime) -> None:
        """Send what of these was not sent yet; one that fails comes back later."""
        with transaction(self._engine) as connection:
            found = notifications.load(connection, identifiers)
        for notification in found:
            self._send(notification)

    def _send(self, notification: Notification) -> None:
        email = self._email(notification)
        message = mail.build(email, message_id=notification.id, sent_at=clock.now())
        try:
            self._mailer.send(message)
        except MailFailed as error:
            self._note_failure(notification, error)
            return
        with transaction(self._engine) as connection:
            notifications.mark_sent(connection, notification.id, now=clock.now())
        metrics.NOTIFICATIONS.labels("sent").inc()

    def _note_failure(self, notification: Notification, error: MailFailed) -> None:
        with transaction(self._engine) as connection:
            abandoned = notifications.mark_failed(
                connection,
                notification.id,
                error=str(error),
                permanent=error.permanent,
                now=clock.now(),
            )
        metrics.NOTIFICATIONS.labels("abandoned" if abandoned else "failed").inc()
        _log.warning(
            "notification not sent",
            execution_id=str(notification.execution_id),
            error=str(error),
            abandoned=abandoned,
        )

    def _email(self, notification: Notification) -> Email:
        name = _one_line(notification.job_name)
        text = _TEXT.format(
            name=name,
            scheduled_for=notification.scheduled_for.isoformat(timespec="milliseconds"),
            finished_at=notification.finished_at.isoformat(timespec="milliseconds"),
            attempts=notification.execution_attempts,
            error=notification.error or "-",
            public_url=self._public_url,
            execution_id=notification.execution_id,
            job_id=notification.job_id,
        )
        return Email(notification.recipients, f"[Chronos] {name} failed", text)


def _one_line(text: str) -> str:
    """Keep a job's name from starting a header line of its own."""
    return "".join(character if character.isprintable() else " " for character in text)

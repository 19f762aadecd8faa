"""Notices: the e-mails that Chronos itself sends, from the outboxes.

Those that tell somebody of a final failure are written here, those about accounts in ``letters``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, faultpoints, metrics
from chronos_common.domain.payloads import Email
from chronos_common.errors import Invalid
from chronos_common.storage import notifications
from chronos_common.storage.database import transaction
from chronos_common.storage.notifications import Notification
from chronos_worker import mail
from chronos_worker.letters import Letters
from chronos_worker.mail import Mailer, MailFailed

_log = structlog.get_logger(__name__)

#: Characters of each error in a digest.
_MAX_ERROR = 300

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

_DIGEST = """\
The job "{name}" failed {failures:,} times, and Chronos does not try these again by itself.

From: {first}
To:   {last}

How often, and why (of the latest ones):
{errors}

The executions that failed:
{public_url}/api/v1/jobs/{job_id}/executions?status=failed

After its first failure, what follows within {minutes} minutes comes together, in one mail.
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
        self._letters = Letters(engine, mailer, public_url=public_url)

    def send(self, identifiers: Sequence[UUID], _fire_at: datetime) -> None:
        """Send what of these was not sent yet; one that fails comes back later."""
        with transaction(self._engine) as connection:
            found = notifications.load(connection, identifiers)
        for notification in found:
            self._send(notification)
        # Both outboxes share a queue; each knows its own ids.
        self._letters.send(identifiers)

    def _send(self, notification: Notification) -> None:
        try:
            email = self._email(notification)
            message = mail.build(email, message_id=notification.id, sent_at=clock.now())
            self._mailer.send(message)
        except MailFailed as error:
            self._note_failure(notification, str(error), permanent=error.permanent)
            return
        except Invalid as error:
            # What no message can hold will not be held by a later one.
            self._note_failure(notification, str(error), permanent=True)
            return
        faultpoints.reached("notice.sent")
        with transaction(self._engine) as connection:
            notifications.mark_sent(connection, notification.id, now=clock.now())
        metrics.NOTIFICATIONS.labels("sent").inc()

    def _note_failure(self, notification: Notification, error: str, *, permanent: bool) -> None:
        with transaction(self._engine) as connection:
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

    def _email(self, notification: Notification) -> Email:
        if notification.failures > 1:
            return self._digest(notification)
        name = mail.one_line(notification.job_name)
        text = _TEXT.format(
            name=name,
            scheduled_for=clock.rfc3339(notification.scheduled_for),
            finished_at=clock.rfc3339(notification.finished_at),
            attempts=notification.execution_attempts,
            error=notification.error or "-",
            public_url=self._public_url,
            execution_id=notification.execution_id,
            job_id=notification.job_id,
        )
        return Email(notification.recipients, f"[Chronos] {name} failed", text)

    def _digest(self, notification: Notification) -> Email:
        """Tell of many failures of one job at once."""
        name = mail.one_line(notification.job_name)
        with transaction(self._engine) as connection:
            errors = notifications.errors_of(connection, notification)
        lines = [f"{number:7,} x {mail.one_line(error)[:_MAX_ERROR]}" for error, number in errors]
        text = _DIGEST.format(
            name=name,
            failures=notification.failures,
            first=clock.rfc3339(notification.created_at),
            last=clock.rfc3339(notification.last_failed_at),
            errors="\n".join(lines) or "-",
            public_url=self._public_url,
            job_id=notification.job_id,
            minutes=notifications.DIGEST_WINDOW // timedelta(minutes=1),
        )
        subject = f"[Chronos] {name} failed {notification.failures:,} times"
        return Email(notification.recipients, subject, text)

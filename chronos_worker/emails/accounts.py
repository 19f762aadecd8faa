"""Letters: the e-mails about accounts, from their outbox: invitations, resets, verifications.

1. A token is made, and its hash stored, just before the e-mail leaves.
2. The e-mail is sent. The token is nowhere else: a failed letter gets a new one the next time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, ids, metrics
from chronos_common.domain import mail_tokens
from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.payloads import Email
from chronos_common.domain.texts import one_line
from chronos_common.errors import Invalid
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import Kind, Letter
from chronos_common.storage.postgres.database import transaction
from chronos_worker.deadline import Deadline
from chronos_worker.emails import mailer
from chronos_worker.emails import message as messages
from chronos_worker.emails.mailer import Delivery, Mailer
from chronos_worker.emails.smtp import MailFailed

_log = structlog.get_logger(__name__)

_INVITATION = """\
{invited_by} invites you to the workspace "{workspace_name}" on Chronos, as {role}.

Your token, until {expires_at}:

    {token}

If you have an account for this address, log in and accept:
POST {public_url}/api/v1/invitations/accept   {{"token": "..."}}

If you have none, register with it:
POST {public_url}/api/v1/auth/register   {{"email": "{recipient}", "password": "...",
                                          "invitation": "..."}}

If you do not know the sender, ignore this mail.
"""

_RESET = """\
Somebody, hopefully you, asked for a new password for {recipient} on Chronos.

Your token, once, until {expires_at}:

    {token}

Choose a new password with it; that ends every login:
POST {public_url}/api/v1/auth/password/reset   {{"token": "...", "password": "..."}}

If it was not you, ignore this mail: your password stays as it is.
"""

_EMAIL_VERIFICATION = """\
Somebody, hopefully you, gave {recipient} as the address of an account on Chronos.

Your token, once, until {expires_at}:

    {token}

Confirm with it that the address is yours:
POST {public_url}/api/v1/auth/email/verify   {{"token": "..."}}

If it was not you, ignore this mail.
"""

_WORDS = {
    Kind.INVITATION: ("You are invited to {workspace_name}", _INVITATION),
    Kind.PASSWORD_RESET: ("A new password", _RESET),
    Kind.EMAIL_VERIFICATION: ("Confirm your address", _EMAIL_VERIFICATION),
}


class Letters:
    """Sends letters and marks them, each on its own."""

    def __init__(
        self,
        engine: Engine,
        mailer: Mailer,
        *,
        public_url: str,
        new_token: Callable[[], str] = mail_tokens.new,
    ) -> None:
        """Take where to read, how to send, and where a reader finds the API."""
        self._engine = engine
        self._mailer = mailer
        self._public_url = public_url.rstrip("/")
        self._new_token = new_token

    def send(self, identifiers: Sequence[UUID], taken_at: datetime) -> None:
        """Send what of these was taken then and not sent since; one that fails comes back."""
        for identifier in identifiers:
            letter = self._claimed(identifier, taken_at)
            if letter:
                self._send(letter)

    def _claimed(self, identifier: UUID, taken_at: datetime) -> Letter | None:
        now = clock.now()
        with transaction(self._engine) as connection:
            until = now + mailer.HOLD
            if account_emails.claim(connection, identifier, taken_at=taken_at, until=until):
                return account_emails.load(connection, identifier, now=now)
        return None

    def _send(self, letter: Letter) -> None:
        if letter.recipient is not None:
            try:
                delivery = self._delivered(letter, letter.recipient)
            except MailFailed as error:
                self._note_failure(letter, str(error), permanent=error.permanent)
                return
            except (Invalid, ValueError) as error:
                # What no message can hold will not be held by a later one.
                self._note_failure(letter, str(error), permanent=True)
                return
            for refusal in delivery.refused.values():
                self._note_failure(letter, refusal.words, permanent=refusal.is_permanent)
                return
            metrics.NOTIFICATIONS.labels("sent").inc()
        with transaction(self._engine) as connection:
            account_emails.mark_sent(connection, letter.id, now=clock.now())

    def _delivered(self, letter: Letter, recipient: str) -> Delivery:
        address = ascii_address(recipient)
        token = self._new_token()
        with transaction(self._engine) as connection:
            account_emails.set_token(connection, letter, mail_tokens.digest(token))
        email = self._email(letter, address, token)
        # Not the id of before: a repetition holds another token.
        message_id = ids.new_id(clock.now())
        message = messages.build(email, message_id=message_id, sent_at=clock.now())
        return self._mailer.send(
            message,
            [address],
            deadline=Deadline(mailer.SEND_SECONDS),
            verdict_seconds=mailer.VERDICT_SECONDS,
        )

    def _email(self, letter: Letter, recipient: str, token: str) -> Email:
        subject, text = _WORDS[Kind(letter.kind)]
        facts = {
            "recipient": recipient,
            "expires_at": letter.expires_at.isoformat(timespec="seconds")
            if letter.expires_at
            else "",
            "role": letter.role,
            "workspace_name": one_line(letter.workspace_name or ""),
            "invited_by": letter.invited_by or "Somebody",
            "token": token,
            "public_url": self._public_url,
        }
        return Email([recipient], f"[Chronos] {subject.format(**facts)}", text.format(**facts))

    def _note_failure(self, letter: Letter, error: str, *, permanent: bool) -> None:
        with transaction(self._engine) as connection:
            abandoned = account_emails.mark_failed(
                connection,
                letter.id,
                error=error,
                permanent=permanent,
                now=clock.now(),
            )
        metrics.NOTIFICATIONS.labels("abandoned" if abandoned else "failed").inc()
        _log.warning("letter not sent", kind=letter.kind, error=error, abandoned=abandoned)

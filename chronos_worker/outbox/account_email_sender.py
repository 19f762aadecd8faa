"""E-mails about accounts: registrations, invitations, password resets, verifications.

1. Make a token and store its hash.
2. Send the e-mail. The token is stored nowhere, so that each attempt makes a new one.
"""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Connection, Engine

from chronos_common import clock, ids
from chronos_common.domain.texts import one_line
from chronos_common.storage.accounts import email_tokens
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmail, AccountEmailKind
from chronos_common.storage.postgres.database import transaction
from chronos_worker.delivery import Announcement, Channel, Delivery
from chronos_worker.emails.permission import MailPermission
from chronos_worker.outbox.sender import OutboxSender, Report

_INVITATION = """\
{invited_by} invites you to the workspace "{workspace_name}" on Chronos, as {role}.

Your token, until {expires_at}:

    {token}

If you have an account for this address, log in and accept:
{public_url}/ui/invitation?token={token}
POST {public_url}/api/v1/invitations/accept   {{"token": "..."}}

If you have none, register with it:
{public_url}/ui/register?invitation={token}
POST {public_url}/api/v1/auth/register   {{"email": "{recipient}", "password": "...",
                                          "invitation": "..."}}

If you do not know the sender, ignore this mail.
"""

_RESET = """\
Somebody, hopefully you, asked for a new password for {recipient} on Chronos.

Your token, once, until {expires_at}:

    {token}

Choose a new password with it; that ends every login:
{public_url}/ui/reset?token={token}
POST {public_url}/api/v1/auth/password/reset   {{"token": "...", "password": "..."}}

If it was not you, ignore this mail: your password stays as it is.
"""

_EMAIL_VERIFICATION = """\
Somebody, hopefully you, gave {recipient} as the address of an account on Chronos.

Your token, once, until {expires_at}:

    {token}

Confirm with it that the address is yours:
{public_url}/ui/verify?token={token}
POST {public_url}/api/v1/auth/email/verify   {{"token": "..."}}

If it was not you, ignore this mail.
"""

_REGISTRATION = """\
Somebody, hopefully you, registered {recipient} on Chronos.

Your token, once, until {expires_at}:

    {token}

Create the account with it, and then log in with the password that you chose:
{public_url}/ui/verify?token={token}
POST {public_url}/api/v1/auth/email/verify   {{"token": "..."}}

If it was not you, ignore this mail: without the token there is no account.
"""

_REGISTERED_BEFORE = """\
Somebody, hopefully you, registered {recipient} on Chronos. This address has an account.

Log in with its password:
{public_url}/ui/login
POST {public_url}/api/v1/auth/login   {{"email": "{recipient}", "password": "..."}}

If you have forgotten it, ask for another:
{public_url}/ui/forgot
POST {public_url}/api/v1/auth/password/forgot   {{"email": "{recipient}"}}

If it was not you, ignore this mail: nothing has changed.
"""

#: The subject and the text of each kind.
_TEXTS = {
    AccountEmailKind.INVITATION: ("You are invited to {workspace_name}", _INVITATION),
    AccountEmailKind.PASSWORD_RESET: ("A new password", _RESET),
    AccountEmailKind.EMAIL_VERIFICATION: ("Confirm your address", _EMAIL_VERIFICATION),
    AccountEmailKind.REGISTRATION: ("Confirm your registration", _REGISTRATION),
}
_TEXTS_OF_AN_ACCOUNT = ("You have an account", _REGISTERED_BEFORE)


_PAGES = "{public_url}/ui/"


def _without_pages(text: str) -> str:
    """Return the text without the addresses of the dashboard."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_PAGES))


class AccountEmailSender(OutboxSender[AccountEmail]):
    """Sends the e-mails about accounts."""

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        permission: MailPermission,
        *,
        public_url: str,
        has_pages: bool = True,
        new_token: Callable[[], str] = email_tokens.new_token,
    ) -> None:
        super().__init__(engine, account_emails.outbox, channel, public_url=public_url)
        self._permission = permission
        self._has_pages = has_pages
        self._new_token = new_token

    def _load(self, connection: Connection, identifier: UUID) -> AccountEmail | None:
        now = clock.now()
        row = account_emails.load(connection, identifier, now=now)
        if row and row.recipient is None:
            account_emails.outbox.mark_sent(connection, identifier, now=now)
            return None
        return row

    def _deliver(self, row: AccountEmail) -> Delivery:
        with self._permission.threads.lent(row.workspace_id or row.kind):
            return self._deliver_in_turn(row)

    def _deliver_in_turn(self, row: AccountEmail) -> Delivery:
        recipient = row.recipient or ""
        if row.workspace_id:
            self._permission.check(row.workspace_id)
        token = self._new_token()
        if not row.has_account:
            with transaction(self._engine) as connection:
                account_emails.set_token(connection, row, email_tokens.digest(token))
        return self._channel.send(self._announcement(row, recipient, token), [recipient])

    def _announcement(self, row: AccountEmail, recipient: str, token: str) -> Announcement:
        subject, text = (
            _TEXTS_OF_AN_ACCOUNT if row.has_account else _TEXTS[AccountEmailKind(row.kind)]
        )
        expires_at = row.expires_at
        facts = {
            "recipient": recipient,
            "expires_at": expires_at.isoformat(timespec="seconds") if expires_at else "",
            "role": row.role,
            "workspace_name": one_line(row.workspace_name or ""),
            "invited_by": row.invited_by or "Somebody",
            "token": token,
            "public_url": self._public_url,
        }
        return Announcement(
            # A new id for each attempt: a repetition holds another token.
            id=ids.new_id(clock.now()),
            subject=f"[Chronos] {subject.format(**facts)}",
            text=(text if self._has_pages else _without_pages(text)).format(**facts),
        )

    def _report(self, _row: AccountEmail, delivery: Delivery) -> Report:
        for refusal in delivery.refused.values():
            return Report(is_sent=False, error=refusal.reason, permanent=refusal.is_permanent)
        return Report(is_sent=True)

    def _log_fields(self, row: AccountEmail) -> dict[str, str]:
        return {"kind": row.kind, "account_email_id": str(row.id)}

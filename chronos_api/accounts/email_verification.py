"""Verified e-mail addresses: those whose mail the account's owner reads."""

from datetime import timedelta

from chronos_api.transactions import Call, Transaction, begin
from chronos_common import ids
from chronos_common.errors import NotFound
from chronos_common.storage.accounts import email_tokens, users
from chronos_common.storage.accounts.email_tokens import Purpose
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind

LIFETIME = timedelta(days=3)


class TokenNotFound(NotFound):
    """There is no such token, or it was used or has expired. Ask for another e-mail."""


def send(tx: Transaction, email: str) -> None:
    """Send an e-mail that verifies the address, unless one was sent just before."""
    token_id = ids.new_id(tx.now)
    email_tokens.request(
        tx.connection,
        token_id,
        Purpose.EMAIL_VERIFICATION,
        email,
        expires_at=tx.now + LIFETIME,
        now=tx.now,
    )
    account_emails.enqueue(
        tx.connection, AccountEmailKind.EMAIL_VERIFICATION, token_id, now=tx.now
    )


def send_again(call: Call) -> None:
    """Send another e-mail to a user whose address is not verified yet."""
    if call.account.is_verified:
        return
    with begin(call) as tx:
        send(tx, call.account.email)


def verify(call: Call, token: str) -> None:
    """Mark the address of the token's owner as verified. Raises :class:`TokenNotFound`."""
    digest = email_tokens.digest(token)
    with begin(call) as tx:
        user_id = email_tokens.use(tx.connection, digest, Purpose.EMAIL_VERIFICATION, now=tx.now)
        user = users.find(tx.connection, user_id) if user_id else None
        if user is None:
            raise TokenNotFound
        users.set_verified(tx.connection, user["id"], now=tx.now)
        tx.audit_account(user["id"], "user.verify_email")

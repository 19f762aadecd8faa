"""Verified e-mail addresses: whose mail an account's owner reads."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from chronos_api.audit import service as trail
from chronos_api.security.access import Account
from chronos_common import ids
from chronos_common.errors import NotFound
from chronos_common.storage.accounts import email_tokens, users
from chronos_common.storage.accounts.email_tokens import Purpose
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind
from chronos_common.storage.postgres.database import transaction

LIFETIME = timedelta(days=3)


class TokenNotFound(NotFound):
    """There is no such token, or it was used or has expired; ask for another e-mail."""


def send(connection: Connection, email: str, *, now: datetime) -> None:
    """Send an e-mail that verifies the address, unless one was sent just before."""
    token_id = ids.new_id(now)
    email_tokens.request(
        connection,
        token_id,
        Purpose.EMAIL_VERIFICATION,
        email,
        expires_at=now + LIFETIME,
        now=now,
    )
    account_emails.enqueue(connection, AccountEmailKind.EMAIL_VERIFICATION, token_id, now=now)


def send_again(engine: Engine, who: Account, *, now: datetime) -> None:
    """Send another e-mail, to whoever is not verified yet."""
    if who.is_verified:
        return
    with transaction(engine) as connection:
        send(connection, who.email, now=now)


def verify(engine: Engine, token: str, *, now: datetime) -> None:
    """Note that the token's owner reads the account's mail. Raises :class:`TokenNotFound`."""
    digest = email_tokens.digest(token)
    with transaction(engine) as connection:
        user_id = email_tokens.use(connection, digest, Purpose.EMAIL_VERIFICATION, now=now)
        user = users.find(connection, user_id) if user_id else None
        if user is None:
            raise TokenNotFound
        users.set_verified(connection, user["id"], now=now)
        trail.note_own(connection, user["id"], "user.verify_email", now=now)

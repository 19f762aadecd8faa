"""Passwords: change one's own, or choose another with a token from an e-mail."""

from datetime import datetime, timedelta

from sqlalchemy import Engine

from chronos_api.accounts.email_verification import TokenNotFound
from chronos_api.accounts.service import WrongCredentials
from chronos_api.audit import service as trail
from chronos_api.security import password_hashing
from chronos_api.security.access import Account
from chronos_common import ids
from chronos_common.storage.accounts import email_tokens, users
from chronos_common.storage.accounts.email_tokens import Purpose
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind
from chronos_common.storage.postgres.database import transaction

LIFETIME = timedelta(hours=1)


class WrongPassword(WrongCredentials):
    """The current password is wrong."""


def change(
    engine: Engine, who: Account, *, current_password: str, new_password: str, now: datetime
) -> None:
    """Replace the password of whoever calls, and end their other logins.

    Raises :class:`WrongPassword`.
    """
    with transaction(engine) as connection:
        user = users.find(connection, who.user_id)
    if not password_hashing.matches(current_password, user["password_hash"] if user else None):
        raise WrongPassword
    password_hash = password_hashing.hash_of(new_password)
    with transaction(engine) as connection:
        users.set_password(connection, who.user_id, password_hash)
        users.revoke_all_families(connection, who.user_id, but=who.family_id, now=now)
        trail.note_own(connection, who.user_id, "user.change_password", now=now)


def request_reset(engine: Engine, email: str, *, now: datetime) -> None:
    """Send a token to whoever has an account of that address.

    The same is done for an address without one, so that neither the answer nor its time tells
    which has: the worker finds out, and writes to nobody.
    """
    token_id = ids.new_id(now)
    with transaction(engine) as connection:
        email_tokens.request(
            connection, token_id, Purpose.PASSWORD_RESET, email, expires_at=now + LIFETIME, now=now
        )
        account_emails.enqueue(connection, AccountEmailKind.PASSWORD_RESET, token_id, now=now)


def reset(engine: Engine, *, token: str, password: str, now: datetime) -> None:
    """Replace the password of the token's owner, and end all of their logins.

    Raises :class:`~chronos_api.accounts.email_verification.TokenNotFound`.
    """
    password_hash = password_hashing.hash_of(password)
    digest = email_tokens.digest(token)
    with transaction(engine) as connection:
        user_id = email_tokens.use(connection, digest, Purpose.PASSWORD_RESET, now=now)
        if user_id is None:
            raise TokenNotFound
        users.set_password(connection, user_id, password_hash)
        users.revoke_all_families(connection, user_id, now=now)
        # Whoever has the token reads the account's mail.
        users.set_verified(connection, user_id, now=now)
        trail.note_own(connection, user_id, "user.reset_password", now=now)

"""Passwords: change one's own, or choose another with a token from an e-mail."""

from contextlib import AbstractContextManager
from datetime import timedelta

from sqlalchemy import RowMapping

from chronos_api.accounts import recovery
from chronos_api.accounts.email_verification import TokenNotFound
from chronos_api.accounts.service import WrongCredentials, lock_as_checked
from chronos_api.security import lockouts, password_hashing, password_strength, rate_limits
from chronos_api.transactions import Call, begin, public_call, reading
from chronos_common import ids
from chronos_common.storage.accounts import api_keys, email_tokens, users
from chronos_common.storage.accounts.email_tokens import Purpose
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind

LIFETIME = timedelta(hours=1)


class WrongPassword(WrongCredentials):
    """The current password is wrong."""


def guarding(email: str, secret: str) -> AbstractContextManager[None]:
    """Surround the check of a ``secret`` of the account with that address.

    See :func:`lockouts.guarding`. A failure is recorded. Without an account as much is done, in
    the log of the installation, so that the time does not tell which addresses have one.
    """

    def record(seconds: int) -> None:
        call = public_call()
        details = {
            "secret": secret,
            "network": rate_limits.network(),
            "wait_seconds": seconds,
        }
        with begin(call) as tx:
            tx.audit_failed_login(email, details)

    return lockouts.guarding(email, failed=record)


def change(
    call: Call, *, current_password: str, new_password: str, revoke_keys: bool = False
) -> None:
    """Replace the user's own password, and end their other logins and the tokens in e-mails.

    ``revoke_keys`` ends the API keys that they made too. Raises :class:`WrongPassword`.
    """
    account = call.account
    user = confirm(call, current_password)
    password_strength.check(new_password, account.email, field="new_password")
    password_hash = password_hashing.hash_of(new_password)
    with begin(call) as tx:
        lock_as_checked(tx, user)
        tx.confirm_caller()
        users.set_password(tx.connection, account.user_id, password_hash)
        users.revoke_all_families(
            tx.connection, account.user_id, but=account.family_id, now=tx.now
        )
        email_tokens.end_all(tx.connection, account.user_id, now=tx.now)
        revoked = 0
        if revoke_keys:
            revoked = api_keys.revoke_of_user(tx.connection, account.user_id, now=tx.now)
        tx.audit_account(account.user_id, "user.change_password", {"revoked_keys": revoked})


def confirm(call: Call, password: str) -> RowMapping:
    """Return the user who acts, if that is their password. Raises :class:`WrongPassword`."""
    with reading(call) as session:
        user = users.find(session.connection, call.account.user_id)
    if user is None or not password_hashing.matches(password, user["password_hash"]):
        raise WrongPassword
    return user


def request_reset(call: Call, email: str) -> None:
    """Send a token to the owner of the account with that address.

    The same is done for an address without an account, so that neither the answer nor its time
    reveals which addresses have one. The worker finds out, and then sends nothing.
    """
    token_id = ids.new_id(call.now)
    with begin(call) as tx:
        email_tokens.request(
            tx.connection,
            token_id,
            Purpose.PASSWORD_RESET,
            email,
            expires_at=tx.now + LIFETIME,
            now=tx.now,
        )
        account_emails.enqueue(
            tx.connection, AccountEmailKind.PASSWORD_RESET, token_id, now=tx.now
        )


def reset(call: Call, *, token: str, password: str) -> str:
    """Replace the password of the token's owner, who has the account alone. Return its address.

    Raises :class:`~chronos_api.accounts.email_verification.TokenNotFound`.
    """
    password_hash = password_hashing.hash_of(password)
    digest = email_tokens.digest(token)
    with begin(call) as tx:
        user_id = email_tokens.use(tx.connection, digest, Purpose.PASSWORD_RESET, now=tx.now)
        user = users.find(tx.connection, user_id) if user_id else None
        if user is None:
            raise TokenNotFound
        email: str = user["email"]
        # The token, which was used up, is there again if this raises.
        password_strength.check(password, email)
        # Before the password: a login with the old one waits for this lock, and then fails.
        recovery.recover(tx, user["id"])
        users.set_password(tx.connection, user["id"], password_hash)
        return email

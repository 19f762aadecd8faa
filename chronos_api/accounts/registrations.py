"""Registrations where addresses are verified: the account is made when its e-mail was read."""

from sqlalchemy.exc import IntegrityError

from chronos_api.accounts import service
from chronos_api.accounts.email_verification import LIFETIME
from chronos_api.security import password_hashing, password_strength
from chronos_api.transactions import Call, begin
from chronos_common import ids
from chronos_common.storage.accounts import email_tokens, registrations, users
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind


def request(call: Call, *, email: str, password: str) -> None:
    """Send an e-mail to the address, which then has an account or is told that it has one.

    The same is done in both cases, so that neither the answer nor its time tells which it is.
    """
    password_strength.check(password, email)
    password_hash = password_hashing.hash_of(password)
    registration_id = ids.new_id(call.now)
    with begin(call) as tx:
        registrations.request(
            tx.connection,
            registration_id,
            email=email,
            password_hash=password_hash,
            expires_at=tx.now + LIFETIME,
            now=tx.now,
        )
        account_emails.enqueue(
            tx.connection, AccountEmailKind.REGISTRATION, registration_id, now=tx.now
        )


def confirm(call: Call, token: str) -> bool:
    """Make the account of the registration with that token. Return False if there is none."""
    try:
        with begin(call) as tx:
            found = registrations.use(tx.connection, email_tokens.digest(token), now=tx.now)
            if found is None:
                return False
            user_id = service.create_account(tx, found.email, found.password_hash)
            users.set_verified(tx.connection, user_id, now=tx.now)
            return True
    except IntegrityError:
        # The address got an account meanwhile, by an invitation or from the operator.
        return False

"""Accounts and logins: register, log in, refresh, log out."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping
from sqlalchemy.exc import IntegrityError

from chronos_api import passwords, tokens
from chronos_api.access import Principal, Role
from chronos_common import ids
from chronos_common.errors import Conflict, Unauthenticated
from chronos_common.storage import audit, users
from chronos_common.storage.database import transaction

_SIGNING_SECRET_BYTES = 32


class EmailTaken(Conflict):
    """There is an account with this e-mail address; log in instead."""


class WrongCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""


class RefreshTokenReused(Unauthenticated):
    """This refresh token was used before, or its login was ended; log in again."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and the ids that the tokens of a login are made of."""

    user: RowMapping
    family_id: UUID
    refresh_token_id: UUID


def register(
    engine: Engine, *, email: str, password: str, lifetime: timedelta, now: datetime
) -> Login:
    """Create a user with a workspace of their own, logged in. Raises :class:`EmailTaken`.

    ``lifetime`` is that of the refresh token.
    """
    password_hash = passwords.hash_of(password)
    user_id, workspace_id = ids.new_id(now), ids.new_id(now)
    try:
        with transaction(engine) as connection:
            users.insert_user(
                connection, user_id, email=email, password_hash=password_hash, now=now
            )
            users.insert_workspace(
                connection,
                workspace_id,
                name=f"{email.partition('@')[0]}'s workspace",
                signing_secret=_new_signing_secret(),
                now=now,
            )
            users.insert_membership(
                connection, workspace_id=workspace_id, user_id=user_id, role=Role.OWNER, now=now
            )
            _note(connection, workspace_id, user_id, "user.register", now=now)
            return _log_in(connection, user_id, lifetime=lifetime, now=now)
    except IntegrityError as error:
        raise EmailTaken from error


def _new_signing_secret() -> str:
    """Return a secret in the form of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SIGNING_SECRET_BYTES)).decode()}"


def log_in(
    engine: Engine, *, email: str, password: str, lifetime: timedelta, now: datetime
) -> Login:
    """Log a user in. Raises :class:`WrongCredentials`, after the same time in every case."""
    with transaction(engine) as connection:
        user = users.find_by_email(connection, email)
    stored = user["password_hash"] if user and user["disabled_at"] is None else None
    # Outside of the transaction: this takes a tenth of a second.
    if not passwords.matches(password, stored) or user is None:
        raise WrongCredentials
    with transaction(engine) as connection:
        return _log_in(connection, user["id"], lifetime=lifetime, now=now)


def _log_in(connection: Connection, user_id: UUID, *, lifetime: timedelta, now: datetime) -> Login:
    return _issue(connection, user_id, ids.new_id(now), lifetime=lifetime, now=now)


def refresh(engine: Engine, token: str, *, lifetime: timedelta, now: datetime) -> Login:
    """Use a refresh token up and return what new tokens are made of.

    1. A token that was not used yet is marked as used, and followed by a new one.
    2. One that was used before is in two hands; nobody knows which is the owner's. The whole
       login ends, new tokens included.

    Raises :class:`~chronos_common.errors.Unauthenticated`.
    """
    claims = tokens.read(token, tokens.REFRESH)
    with transaction(engine) as connection:
        family_id = users.use_refresh_token(connection, claims.id, now=now)
        if family_id is not None:
            return _issue(connection, claims.user_id, family_id, lifetime=lifetime, now=now)
        users.revoke_family(connection, claims.family_id, now=now)
    raise RefreshTokenReused


def _issue(
    connection: Connection,
    user_id: UUID,
    family_id: UUID,
    *,
    lifetime: timedelta,
    now: datetime,
) -> Login:
    user = users.find_member(connection, user_id)
    if user is None:
        raise WrongCredentials("The account is disabled.")
    token_id = ids.new_id(now)
    users.insert_refresh_token(
        connection,
        token_id,
        user_id=user_id,
        family_id=family_id,
        now=now,
        expires_at=now + lifetime,
    )
    return Login(user, family_id, token_id)


def log_out(engine: Engine, who: Principal, *, now: datetime) -> None:
    """End this login: its refresh tokens, and with them its access tokens."""
    with transaction(engine) as connection:
        users.revoke_family(connection, who.family_id, now=now)
        _note(connection, who.workspace_id, who.user_id, "user.logout", now=now)


def member(engine: Engine, who: Principal) -> RowMapping:
    """Return the user who calls, with their workspace."""
    with transaction(engine) as connection:
        row = users.find_member(connection, who.user_id)
    if row is None:
        raise Unauthenticated
    return row


def _note(
    connection: Connection, workspace_id: UUID, user_id: UUID, action: str, *, now: datetime
) -> None:
    audit.append(
        connection,
        workspace_id=workspace_id,
        user_id=user_id,
        action=action,
        subject_type="user",
        subject_id=user_id,
        details={},
        now=now,
    )

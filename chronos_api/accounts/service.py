"""Accounts and logins: register, log in, refresh, log out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping
from sqlalchemy.exc import IntegrityError

from chronos_api.accounts import email_verification
from chronos_api.audit import service as trail
from chronos_api.security import password_hashing, tokens
from chronos_api.security.access import Account
from chronos_api.workspaces import invitations
from chronos_api.workspaces import service as workspaces
from chronos_common import ids
from chronos_common.errors import Conflict, Unauthenticated
from chronos_common.storage.accounts import users
from chronos_common.storage.accounts import workspaces as workspace_rows
from chronos_common.storage.postgres.database import transaction


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
    engine: Engine,
    *,
    email: str,
    password: str,
    invitation: str | None = None,
    verify: bool,
    lifetime: timedelta,
    now: datetime,
) -> Login:
    """Create a user with a workspace of their own, logged in; the first one is the operator.

    The token of an ``invitation`` makes them a member of its workspace too, which is then the
    one that they work in by default. ``verify`` sends an e-mail that verifies the address.
    ``lifetime`` is that of the refresh token. Raises :class:`EmailTaken`, and what accepting an
    invitation raises.
    """
    password_hash = password_hashing.hash_of(password)
    user_id, workspace_id = ids.new_id(now), ids.new_id(now)
    try:
        with transaction(engine) as connection:
            users.insert_user(
                connection, user_id, email=email, password_hash=password_hash, now=now
            )
            users.make_first_operator(connection, user_id)
            if invitation is not None:
                invitations.take(connection, user_id, email, invitation, now=now)
            name = f"{email.partition('@')[0]}'s workspace"
            workspaces.create(connection, workspace_id, user_id, name=name, now=now)
            if verify and invitation is None:
                email_verification.send(connection, email, now=now)
            trail.note_own(connection, user_id, "user.register", now=now)
            return _log_in(connection, user_id, lifetime=lifetime, now=now)
    except IntegrityError as error:
        raise EmailTaken from error


def log_in(
    engine: Engine, *, email: str, password: str, lifetime: timedelta, now: datetime
) -> Login:
    """Log a user in. Raises :class:`WrongCredentials`, after the same time in every case."""
    with transaction(engine) as connection:
        user = users.find_by_email(connection, email)
    stored = user["password_hash"] if user and user["disabled_at"] is None else None
    # Outside of the transaction: this takes a tenth of a second.
    if not password_hashing.matches(password, stored) or user is None:
        raise WrongCredentials
    with transaction(engine) as connection:
        trail.note_own(connection, user["id"], "user.login", now=now)
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
        if users.revoke_family(connection, claims.family_id, now=now):
            trail.note_own(connection, claims.user_id, "user.token_reused", now=now)
    raise RefreshTokenReused


def _issue(
    connection: Connection,
    user_id: UUID,
    family_id: UUID,
    *,
    lifetime: timedelta,
    now: datetime,
) -> Login:
    user = users.find(connection, user_id)
    if user is None or user["disabled_at"] is not None:
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


def log_out(engine: Engine, who: Account, *, now: datetime) -> None:
    """End this login: its refresh tokens, and with them its access tokens."""
    if who.family_id is None:
        return
    with transaction(engine) as connection:
        users.revoke_family(connection, who.family_id, now=now)
        trail.note_own(connection, who.user_id, "user.logout", now=now)


def log_out_everywhere(engine: Engine, who: Account, *, now: datetime) -> None:
    """End every login of whoever calls, this one included."""
    with transaction(engine) as connection:
        ended = users.revoke_all_families(connection, who.user_id, now=now)
        trail.note_own(connection, who.user_id, "user.logout_all", {"logins": ended}, now=now)


@dataclass(frozen=True, slots=True)
class Profile:
    """The user who calls, their workspaces, and the row of the request's workspace."""

    user: RowMapping
    memberships: list[RowMapping]
    workspace: RowMapping | None


def profile(engine: Engine, who: Account, workspace_id: UUID | None) -> Profile:
    """Return who calls, for themselves."""
    with transaction(engine) as connection:
        user = users.find(connection, who.user_id)
        if user is None:
            raise Unauthenticated
        return Profile(
            user,
            list(workspace_rows.of_user(connection, who.user_id)),
            workspace_rows.find(connection, workspace_id) if workspace_id else None,
        )

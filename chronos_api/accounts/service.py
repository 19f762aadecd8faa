"""Accounts and logins: register, log in, refresh, list and end logins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from chronos_api.second_factor import service as second_factor
from chronos_api.security import password_hashing, password_strength, tokens
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_api.workspaces import invitations
from chronos_api.workspaces import service as workspaces
from chronos_common import ids
from chronos_common.errors import Conflict, NotFound, Unauthenticated
from chronos_common.storage.accounts import users
from chronos_common.storage.accounts import workspaces as workspace_rows


class EmailTaken(Conflict):
    """There is an account with this e-mail address. Log in instead."""


class WrongCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""


class RefreshTokenReused(Unauthenticated):
    """This refresh token was used before, or its login was ended. Log in again."""


class SessionNotFound(NotFound):
    """You have no such login, or it has ended."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and the ids that the tokens of a login are made of."""

    user: RowMapping
    family_id: UUID
    refresh_token_id: UUID


def register(
    call: Call,
    *,
    email: str,
    password: str,
    invitation: str | None = None,
    first_operates: bool,
    lifetime: timedelta,
) -> Login:
    """Create an account and log it in.

    The token of an ``invitation`` makes it a member of its workspace too. With ``first_operates``
    the first account is the operator. ``lifetime`` is that of the refresh token. Raises
    :class:`EmailTaken`, and the errors of :func:`invitations.accept`.
    """
    password_strength.check(password, email)
    password_hash = password_hashing.hash_of(password)
    try:
        with begin(call) as tx:
            if invitation is not None:
                # First, so that only who has the token learns that the address has an account.
                invitations.check(tx, email, invitation)
            user_id = create_account(tx, email, password_hash, invitation=invitation)
            if first_operates:
                users.make_first_operator(tx.connection, user_id)
            return _start_login(tx, user_id, lifetime=lifetime)
    except IntegrityError as error:
        raise EmailTaken from error


def create_account(
    tx: Transaction, email: str, password_hash: str, *, invitation: str | None = None
) -> UUID:
    """Create a user with a workspace of their own, and return the user's id.

    Who accepts an ``invitation`` joins its workspace first, so that it is their default. Raises
    ``IntegrityError`` if the address has an account.
    """
    user_id, workspace_id = ids.new_id(tx.now), ids.new_id(tx.now)
    users.insert_user(tx.connection, user_id, email=email, password_hash=password_hash, now=tx.now)
    if invitation is not None:
        invitations.join(tx, user_id, email, invitation)
    name = f"{email.partition('@')[0]}'s workspace"
    workspaces.create(tx, workspace_id, user_id, name=name)
    tx.audit_account(user_id, "user.register")
    return user_id


def log_in(
    call: Call, *, email: str, password: str, code: str | None = None, lifetime: timedelta
) -> Login:
    """Log a user in. Raises :class:`WrongCredentials`, after the same time in every case.

    ``code`` is that of the second factor. See :func:`second_factor.check`.
    """
    with reading(call) as session:
        user = users.find_by_email(session.connection, email)
    stored = user["password_hash"] if user and user["disabled_at"] is None else None
    # Outside of the transaction: this takes a tenth of a second.
    if not password_hashing.matches(password, stored) or user is None:
        raise WrongCredentials
    with begin(call) as tx:
        lock_as_checked(tx, user)
        used = second_factor.check(tx, user["id"], code)
        tx.audit_account(user["id"], "user.login", used)
        return _start_login(tx, user["id"], lifetime=lifetime)


def lock_as_checked(tx: Transaction, checked: RowMapping) -> None:
    """Lock a user whose password was compared before this transaction began.

    Raises :class:`WrongCredentials` if the password was replaced meanwhile, or the account
    disabled.
    """
    user = users.find(tx.connection, checked["id"], lock=True)
    if (
        user is None
        or user["disabled_at"] is not None
        or user["password_hash"] != checked["password_hash"]
    ):
        raise WrongCredentials


def _start_login(tx: Transaction, user_id: UUID, *, lifetime: timedelta) -> Login:
    return _issue(tx, user_id, ids.new_id(tx.now), lifetime=lifetime)


def extend(call: Call, *, lifetime: timedelta) -> None:
    """Let the login of the caller last for ``lifetime`` from now on."""
    account = call.account
    if account.family_id is None:
        return
    with begin(call) as tx:
        login = _issue(tx, account.user_id, account.family_id, lifetime=lifetime)
        # Browsers hold a cookie in place of its tokens.
        users.forget_refresh_tokens(
            tx.connection, account.family_id, last=login.refresh_token_id, unused=True
        )


def refresh(call: Call, token: str, *, lifetime: timedelta) -> Login:
    """Use a refresh token up, and return the ids of new tokens.

    1. A token that was not used yet is marked as used, and followed by a new one.
    2. A token that was used before is in two hands, and one of them may be a thief's. The whole
       login ends, new tokens included.

    Raises :class:`~chronos_common.errors.Unauthenticated`.
    """
    claims = tokens.read(token, tokens.REFRESH)
    with begin(call) as tx:
        family_id = users.use_refresh_token(tx.connection, claims.id, now=tx.now)
        if family_id is not None:
            users.forget_refresh_tokens(tx.connection, family_id, last=claims.id)
            return _issue(tx, claims.user_id, family_id, lifetime=lifetime)
        if users.revoke_family(tx.connection, claims.family_id, now=tx.now):
            tx.audit_account(claims.user_id, "user.token_reused")
    # After the commit, which ends the login.
    raise RefreshTokenReused


def _issue(tx: Transaction, user_id: UUID, family_id: UUID, *, lifetime: timedelta) -> Login:
    user = users.find(tx.connection, user_id)
    if user is None or user["disabled_at"] is not None:
        raise WrongCredentials("The account is disabled.")
    token_id, client = ids.new_id(tx.now), tx.client
    users.insert_refresh_token(
        tx.connection,
        token_id,
        user_id=user_id,
        family_id=family_id,
        now=tx.now,
        expires_at=tx.now + lifetime,
        user_agent=client.user_agent if client else None,
        address=client.address if client else None,
    )
    return Login(user, family_id, token_id)


def log_out(call: Call) -> None:
    """End this login: its refresh tokens, and with them its access tokens."""
    account = call.account
    if account.family_id is None:
        return
    with begin(call) as tx:
        users.revoke_family(tx.connection, account.family_id, now=tx.now)
        tx.audit_account(account.user_id, "user.logout")


def log_out_everywhere(call: Call) -> None:
    """End every login of the user, this one included."""
    user_id = call.account.user_id
    with begin(call) as tx:
        ended = users.revoke_all_families(tx.connection, user_id, now=tx.now)
        tx.audit_account(user_id, "user.logout_all", {"logins": ended})


def list_sessions(call: Call) -> Sequence[RowMapping]:
    """Return the caller's logins that have not ended, the latest used first."""
    with reading(call) as session:
        return users.sessions_of(session.connection, session.account.user_id, now=call.now)


def end_session(call: Call, family_id: UUID) -> None:
    """End a login of the caller. Raises :class:`SessionNotFound`."""
    user_id = call.account.user_id
    with begin(call) as tx:
        users.find(tx.connection, user_id, lock=True)
        if not users.revoke_family_of(tx.connection, user_id, family_id, now=tx.now):
            raise SessionNotFound
        tx.audit_account(user_id, "user.session_end")


@dataclass(frozen=True, slots=True)
class Profile:
    """A user, the workspaces that they may see, and the one that the request works in."""

    user: RowMapping
    memberships: list[RowMapping]
    workspace: RowMapping | None


def profile(call: Call, workspace_id: UUID | None) -> Profile:
    """Return the profile of the user, for themselves."""
    user_id = call.account.user_id
    with reading(call) as session:
        user = users.find(session.connection, user_id)
        if user is None:
            raise Unauthenticated
        memberships = workspace_rows.of_user(session.connection, user_id)
        if call.account.key_id is not None:
            # A key is for one workspace, and may be in others' hands.
            memberships = [each for each in memberships if each["id"] == workspace_id]
        return Profile(
            user,
            list(memberships),
            workspace_rows.find(session.connection, workspace_id) if workspace_id else None,
        )

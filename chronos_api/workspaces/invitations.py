"""Invitations into a workspace, by e-mail: make, list, revoke, accept."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import service as trail
from chronos_api.fields.pagination import Page, first_of
from chronos_api.security.access import Account, Principal, Role
from chronos_common import ids
from chronos_common.errors import Conflict, Forbidden, NotFound
from chronos_common.storage import audit
from chronos_common.storage.accounts import email_tokens, invitations, users, workspaces
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind
from chronos_common.storage.postgres.database import transaction

LIFETIME = timedelta(days=7)
#: Members and open invitations of one workspace.
MAX_MEMBERS = 500


class InvitationNotFound(NotFound):
    """There is no such invitation, or it was accepted, revoked or has expired."""


class AnotherAddress(Forbidden):
    """This invitation is for another e-mail address; use the account of that one."""


class AlreadyMember(Conflict):
    """Whoever has this e-mail address is a member of this workspace already."""


class TooManyMembers(Conflict):
    """The workspace has as many members and open invitations as it can have."""


def invite(engine: Engine, who: Principal, *, email: str, role: Role, now: datetime) -> RowMapping:
    """Invite whoever has that address, and return the invitation; its token is in the e-mail.

    One that was open for the address before is revoked. Raises :class:`AlreadyMember` and
    :class:`TooManyMembers`.
    """
    invitation_id = ids.new_id(now)
    with transaction(engine) as connection:
        # Locked, so that invitations side by side come one after the other.
        workspaces.find(connection, who.workspace_id, lock=True)
        if workspaces.find_member_by_email(connection, who.workspace_id, email):
            raise AlreadyMember
        invitations.revoke_of_address(connection, who.workspace_id, email, now=now)
        _check_bound(connection, who.workspace_id, now=now)
        invitations.insert_invitation(
            connection,
            invitation_id,
            workspace_id=who.workspace_id,
            email=email,
            role=role,
            invited_by=who.user_id,
            expires_at=now + LIFETIME,
            now=now,
        )
        account_emails.enqueue(connection, AccountEmailKind.INVITATION, invitation_id, now=now)
        _note(connection, who, "invitation.create", invitation_id, email, role, now=now)
        return _found(connection, who, invitation_id)


def _check_bound(connection: Connection, workspace_id: UUID, *, now: datetime) -> None:
    _, asked = invitations.page(connection, workspace_id, after=None, offset=0, limit=1, now=now)
    if asked + workspaces.count_members(connection, workspace_id) >= MAX_MEMBERS:
        raise TooManyMembers


def list_open(
    engine: Engine, who: Principal, *, after: UUID | None, page: int, limit: int, now: datetime
) -> Page[UUID]:
    """Return a page of the open invitations, the latest first."""
    with transaction(engine) as connection:
        rows, total = invitations.page(
            connection,
            who.workspace_id,
            after=after,
            offset=(page - 1) * limit,
            limit=limit + 1,
            now=now,
        )
    return first_of(rows, total, limit)


def revoke(engine: Engine, who: Principal, invitation_id: UUID, *, now: datetime) -> None:
    """Refuse an invitation from now on. Raises :class:`InvitationNotFound`."""
    with transaction(engine) as connection:
        found = _found(connection, who, invitation_id)
        if not invitations.revoke(connection, who.workspace_id, invitation_id, now=now):
            raise InvitationNotFound
        _note(
            connection,
            who,
            "invitation.revoke",
            invitation_id,
            found["email"],
            found["role"],
            now=now,
        )


def accept(engine: Engine, who: Account, token: str, *, now: datetime) -> UUID:
    """Make whoever calls a member, and return the workspace.

    Raises :class:`InvitationNotFound`, :class:`AnotherAddress` and :class:`AlreadyMember`.
    """
    with transaction(engine) as connection:
        return take(connection, who.user_id, who.email, token, now=now)


def take(connection: Connection, user_id: UUID, email: str, token: str, *, now: datetime) -> UUID:
    """Do what :func:`accept` does, in a transaction that is open already."""
    found = _open(connection, token, now=now)
    if found["email"].lower() != email.lower():
        raise AnotherAddress
    workspace_id: UUID = found["workspace_id"]
    # Whoever invites locks in this order too: the workspace, then its invitations.
    workspaces.find(connection, workspace_id, lock=True)
    found = _open(connection, token, lock=True, now=now)
    if workspaces.find_member(connection, workspace_id, user_id):
        raise AlreadyMember
    users.insert_membership(
        connection, workspace_id=workspace_id, user_id=user_id, role=found["role"], now=now
    )
    invitations.accept(connection, found["id"], now=now)
    # Whoever has the token reads the address's mail.
    users.set_verified(connection, user_id, now=now)
    audit.append(
        connection,
        workspace_id=workspace_id,
        user_id=user_id,
        action="invitation.accept",
        subject_type="invitation",
        subject_id=found["id"],
        details={"email": found["email"], "role": found["role"]},
        now=now,
    )
    return workspace_id


def _open(connection: Connection, token: str, *, lock: bool = False, now: datetime) -> RowMapping:
    found = invitations.find_open(connection, email_tokens.digest(token), lock=lock, now=now)
    if found is None:
        raise InvitationNotFound
    return found


def _found(connection: Connection, who: Principal, invitation_id: UUID) -> RowMapping:
    row = invitations.find(connection, who.workspace_id, invitation_id)
    if row is None:
        raise InvitationNotFound
    return row


def _note(
    connection: Connection,
    who: Principal,
    action: str,
    invitation_id: UUID,
    email: str,
    role: str,
    *,
    now: datetime,
) -> None:
    trail.note(
        connection,
        who,
        action,
        ("invitation", invitation_id),
        {"email": email, "role": str(role)},
        workspace_id=who.workspace_id,
        now=now,
    )

"""Invitations into a workspace, by e-mail: make, list, revoke, accept."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.fields.pagination import Page, read_page
from chronos_api.security.access import Role
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_api.workspaces import mail_permission
from chronos_common import ids
from chronos_common.domain.addresses import email_key
from chronos_common.errors import Conflict, Forbidden, NotFound, TooManyRequests
from chronos_common.quotas import INVITATIONS
from chronos_common.storage.accounts import email_tokens, invitations, users, workspaces
from chronos_common.storage.outbox import account_emails
from chronos_common.storage.outbox.account_emails import AccountEmailKind

LIFETIME = timedelta(days=7)
#: Members and open invitations of one workspace.
MAX_MEMBERS = 500
#: Invitations to one address within this time, from all workspaces.
MAX_FOR_ADDRESS = 10
ADDRESS_WINDOW = timedelta(days=1)


class InvitationNotFound(NotFound):
    """There is no such invitation, or it was accepted, revoked or has expired."""


class AnotherAddress(Forbidden):
    """This invitation is for another e-mail address. Use the account of that one."""


class AlreadyMember(Conflict):
    """The user with this e-mail address is a member of this workspace already."""


class TooManyMembers(Conflict):
    """The workspace has as many members and open invitations as it can have."""


class TooManyForAddress(TooManyRequests):
    """This address got as many invitations within a day as it may. Try again tomorrow."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__ or "", seconds=int(ADDRESS_WINDOW.total_seconds()))


def invite(call: Call, *, email: str, role: Role) -> RowMapping:
    """Invite the owner of that address, and return the invitation. Its token is in the e-mail.

    An invitation that was open for the address is revoked. Raises :class:`AlreadyMember` and
    :class:`TooManyMembers`, :class:`TooManyForAddress`, and the errors of ``mail_permission`` and
    of the quota.
    """
    invitation_id = ids.new_id(call.now)
    with begin(call) as tx:
        tx.confirm_caller()
        mail_permission.check_owner(tx)
        mail_permission.check_recipients("email", [email])
        _check_address(tx, email)
        # Locked, so that invitations side by side come one after the other.
        workspaces.find(tx.connection, tx.workspace_id, lock=True)
        if workspaces.find_member_by_email(tx.connection, tx.workspace_id, email):
            raise AlreadyMember
        invitations.revoke_of_address(tx.connection, tx.workspace_id, email, now=tx.now)
        _check_bound(tx)
        invitations.insert_invitation(
            tx.connection,
            invitation_id,
            workspace_id=tx.workspace_id,
            email=email,
            role=role,
            invited_by=tx.principal.user_id,
            expires_at=tx.now + LIFETIME,
            now=tx.now,
        )
        account_emails.enqueue(
            tx.connection, AccountEmailKind.INVITATION, invitation_id, now=tx.now
        )
        row = _find(tx, invitation_id)
        tx.audit("invitation.create", "invitation", {invitation_id: _details(row)})
        tx.spend({INVITATIONS: 1})
        return row


def _check_address(tx: Transaction, email: str) -> None:
    """Bound the invitations to one address, over all workspaces."""
    since = tx.now - ADDRESS_WINDOW
    if invitations.count_to_address(tx.connection, email, since=since) >= MAX_FOR_ADDRESS:
        raise TooManyForAddress


def _check_bound(tx: Transaction) -> None:
    _, invited = invitations.page(
        tx.connection, tx.workspace_id, after=None, offset=0, limit=1, now=tx.now
    )
    if invited + workspaces.count_members(tx.connection, tx.workspace_id) >= MAX_MEMBERS:
        raise TooManyMembers


def list_open(call: Call, *, after: UUID | None, page: int, limit: int) -> Page[UUID]:
    """Return a page of the open invitations, the latest first."""
    with reading(call) as session:
        query = partial(
            invitations.page,
            session.connection,
            session.workspace_id,
            after=after,
            now=session.now,
        )
        return read_page(query, page=page, limit=limit)


def revoke(call: Call, invitation_id: UUID) -> None:
    """Refuse an invitation from now on. Raises :class:`InvitationNotFound`."""
    with begin(call) as tx:
        row = _find(tx, invitation_id)
        if not invitations.revoke(tx.connection, tx.workspace_id, invitation_id, now=tx.now):
            raise InvitationNotFound
        tx.audit("invitation.revoke", "invitation", {invitation_id: _details(row)})


def accept(call: Call, token: str) -> UUID:
    """Make the user a member, and return the workspace.

    Raises :class:`InvitationNotFound`, :class:`AnotherAddress` and :class:`AlreadyMember`.
    """
    with begin(call) as tx:
        return join(tx, call.account.user_id, call.account.email, token)


def check(tx: Transaction, email: str, token: str) -> RowMapping:
    """Return the open invitation of the token, which must be for that address.

    Raises :class:`InvitationNotFound` and :class:`AnotherAddress`.
    """
    invitation = _find_open(tx, token)
    if invitation["email_key"] != email_key(email):
        raise AnotherAddress
    return invitation


def join(tx: Transaction, user_id: UUID, email: str, token: str) -> UUID:
    """Make a user with that address a member. Raises the errors of :func:`accept`."""
    invitation = check(tx, email, token)
    workspace_id: UUID = invitation["workspace_id"]
    # ``invite`` locks in this order too: the workspace, then its invitations.
    workspace = workspaces.find(tx.connection, workspace_id, lock=True)
    if workspace["purge_at"] is not None:
        raise InvitationNotFound
    invitation = _find_open(tx, token, lock=True)
    if workspaces.find_member(tx.connection, workspace_id, user_id):
        raise AlreadyMember
    users.insert_membership(
        tx.connection,
        workspace_id=workspace_id,
        user_id=user_id,
        role=invitation["role"],
        now=tx.now,
    )
    invitations.accept(tx.connection, invitation["id"], now=tx.now)
    # A user who has the token reads the address's mail.
    users.set_verified(tx.connection, user_id, now=tx.now)
    details = {invitation["id"]: _details(invitation)}
    tx.audit_in(workspace_id, "invitation.accept", "invitation", details, user_id=user_id)
    return workspace_id


def _find_open(tx: Transaction, token: str, *, lock: bool = False) -> RowMapping:
    digest = email_tokens.digest(token)
    row = invitations.find_open(tx.connection, digest, lock=lock, now=tx.now)
    if row is None:
        raise InvitationNotFound
    return row


def _find(session: Session, invitation_id: UUID) -> RowMapping:
    row = invitations.find(session.connection, session.workspace_id, invitation_id)
    if row is None:
        raise InvitationNotFound
    return row


def _details(row: RowMapping) -> dict[str, str]:
    return {"email": row["email"], "role": row["role"]}

"""Members of a workspace: list, change a role, remove, leave. There is always an owner."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.audit import service as audit
from chronos_api.security.access import Role
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common.errors import Conflict, NotFound
from chronos_common.storage.accounts import api_keys, invitations, workspaces


class MemberNotFound(NotFound):
    """There is no such member in this workspace."""


class LastOwner(Conflict):
    """A workspace needs an owner. Make another member one first."""


def list_members(call: Call) -> Sequence[RowMapping]:
    """Return the members, in the order in which they joined."""
    with reading(call) as session:
        return workspaces.members(session.connection, session.workspace_id)


def set_role(call: Call, user_id: UUID, role: Role) -> RowMapping:
    """Give a member another role and return the member.

    Raises :class:`MemberNotFound`, and :class:`LastOwner`.
    """
    with begin(call) as tx:
        member = _lock(tx, user_id)
        if member["role"] == role:
            return member
        _keep_an_owner(tx, member)
        workspaces.set_role(tx.connection, tx.workspace_id, user_id, role)
        if member["role"] == Role.OWNER:
            _revoke_invitations(tx, tx.workspace_id, user_id)
        details = audit.difference({"role": member["role"]}, {"role": str(role)})
        details["email"] = member["email"]
        tx.audit("member.change_role", "member", {user_id: details})
        return _lock(tx, user_id)


def remove(call: Call, user_id: UUID) -> None:
    """End a membership, with the API keys and invitations that the member made here.

    Raises :class:`MemberNotFound`, and :class:`LastOwner`.
    """
    with begin(call) as tx:
        member = _lock(tx, user_id)
        _keep_an_owner(tx, member)
        end(tx, tx.workspace_id, member)


def end(tx: Transaction, workspace_id: UUID, member: Mapping[Any, Any]) -> None:
    """End a membership without a check, with everything that the member made to get in again."""
    user_id = member["user_id"]
    revoked_keys = api_keys.revoke_of_user(
        tx.connection, user_id, workspace_id=workspace_id, now=tx.now
    )
    _revoke_invitations(tx, workspace_id, user_id)
    workspaces.remove_member(tx.connection, workspace_id, user_id)
    is_own = tx.caller is not None and tx.caller.user_id == user_id
    details = {"email": member["email"], "role": member["role"], "revoked_keys": revoked_keys}
    action = "member.leave" if is_own else "member.remove"
    tx.audit_in(workspace_id, action, "member", {user_id: details})


def _revoke_invitations(tx: Transaction, workspace_id: UUID, user_id: UUID) -> None:
    invitations.revoke_of_inviter(tx.connection, user_id, workspace_id=workspace_id, now=tx.now)


def _lock(tx: Transaction, user_id: UUID) -> RowMapping:
    """Return a member of the workspace, whose members stay as they are until the commit."""
    workspaces.find(tx.connection, tx.workspace_id, lock=True)
    member = workspaces.find_member(tx.connection, tx.workspace_id, user_id)
    if member is None:
        raise MemberNotFound
    return member


def _keep_an_owner(tx: Transaction, member: Mapping[Any, Any]) -> None:
    is_owner = member["role"] == Role.OWNER
    if is_owner and workspaces.count_members(tx.connection, tx.workspace_id, Role.OWNER) == 1:
        raise LastOwner

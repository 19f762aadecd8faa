"""Members of a workspace: list, change a role, remove, leave. There is always an owner."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.audit import service as audit
from chronos_api.security.access import Role
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common.errors import Conflict, NotFound
from chronos_common.storage.accounts import api_keys, workspaces


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
        details = audit.difference({"role": member["role"]}, {"role": str(role)})
        details["email"] = member["email"]
        tx.audit("member.change_role", "member", {user_id: details})
        return _lock(tx, user_id)


def remove(call: Call, user_id: UUID) -> None:
    """End a membership, and revoke the API keys that the member created here.

    Raises :class:`MemberNotFound`, and :class:`LastOwner`.
    """
    with begin(call) as tx:
        member = _lock(tx, user_id)
        _keep_an_owner(tx, member)
        revoked = api_keys.revoke_of_user(tx.connection, tx.workspace_id, user_id, now=tx.now)
        workspaces.remove_member(tx.connection, tx.workspace_id, user_id)
        action = "member.leave" if user_id == tx.principal.user_id else "member.remove"
        details = {"email": member["email"], "role": member["role"], "revoked_keys": revoked}
        tx.audit(action, "member", {user_id: details})


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

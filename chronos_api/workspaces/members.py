"""Members of a workspace: list, change a role, remove, leave. There is always an owner."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import diff
from chronos_api.audit import service as trail
from chronos_api.security.access import Principal, Role
from chronos_common.errors import Conflict, NotFound
from chronos_common.storage.accounts import api_keys, workspaces
from chronos_common.storage.postgres.database import transaction


class MemberNotFound(NotFound):
    """There is no such member in this workspace."""


class LastOwner(Conflict):
    """A workspace needs an owner; make another member one first."""


def list_members(engine: Engine, who: Principal) -> Sequence[RowMapping]:
    """Return the members, in the order in which they joined."""
    with transaction(engine) as connection:
        return workspaces.members(connection, who.workspace_id)


def set_role(
    engine: Engine, who: Principal, user_id: UUID, role: Role, *, now: datetime
) -> RowMapping:
    """Give a member another role and return the member.

    Raises :class:`MemberNotFound`, and :class:`LastOwner`.
    """
    with transaction(engine) as connection:
        member = _locked(connection, who, user_id)
        if member["role"] == role:
            return member
        _keep_an_owner(connection, member, who.workspace_id)
        workspaces.set_role(connection, who.workspace_id, user_id, role)
        details = diff.between({"role": member["role"]}, {"role": str(role)})
        details["email"] = member["email"]
        _note(connection, who, "member.change_role", user_id, details, now=now)
        return _locked(connection, who, user_id)


def remove(engine: Engine, who: Principal, user_id: UUID, *, now: datetime) -> None:
    """End a membership; the API keys that the member made here are revoked.

    Raises :class:`MemberNotFound`, and :class:`LastOwner`.
    """
    with transaction(engine) as connection:
        member = _locked(connection, who, user_id)
        _keep_an_owner(connection, member, who.workspace_id)
        revoked = api_keys.revoke_of_user(connection, who.workspace_id, user_id, now=now)
        workspaces.remove_member(connection, who.workspace_id, user_id)
        action = "member.leave" if user_id == who.user_id else "member.remove"
        details = {"email": member["email"], "role": member["role"], "revoked_keys": revoked}
        _note(connection, who, action, user_id, details, now=now)


def _locked(connection: Connection, who: Principal, user_id: UUID) -> RowMapping:
    """Return a member of a workspace whose members nobody else changes meanwhile."""
    workspaces.find(connection, who.workspace_id, lock=True)
    member = workspaces.find_member(connection, who.workspace_id, user_id)
    if member is None:
        raise MemberNotFound
    return member


def _keep_an_owner(connection: Connection, member: Mapping[Any, Any], workspace_id: UUID) -> None:
    is_owner = member["role"] == Role.OWNER
    if is_owner and workspaces.count_members(connection, workspace_id, Role.OWNER) == 1:
        raise LastOwner


def _note(
    connection: Connection,
    who: Principal,
    action: str,
    user_id: UUID,
    details: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    trail.note(
        connection,
        who,
        action,
        ("member", user_id),
        details,
        workspace_id=who.workspace_id,
        now=now,
    )

"""The statements on workspaces and their members."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, func, select, text, update

from chronos_common.domain.addresses import email_key
from chronos_common.storage.tables import memberships, users, workspaces


def find(connection: Connection, workspace_id: UUID, *, lock: bool = False) -> RowMapping:
    """Return an existing workspace. ``lock`` keeps others from changing it or its members."""
    query = select(workspaces).where(workspaces.c.id == workspace_id)
    query = query.with_for_update(key_share=True) if lock else query
    return connection.execute(query).mappings().one()


def exists(connection: Connection, workspace_id: UUID) -> bool:
    """Return whether there is such a workspace."""
    query = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
    return connection.execute(query).first() is not None


def of_user(connection: Connection, user_id: UUID) -> Sequence[RowMapping]:
    """Return the workspaces of a user with their ``role``, in the order of joining."""
    query = (
        select(
            workspaces.c.id,
            workspaces.c.name,
            workspaces.c.created_at,
            workspaces.c.purge_at,
            memberships.c.role,
            memberships.c.created_at.label("joined_at"),
        )
        .join(memberships, memberships.c.workspace_id == workspaces.c.id)
        .where(memberships.c.user_id == user_id)
        .order_by(memberships.c.created_at, memberships.c.workspace_id)
    )
    return connection.execute(query).mappings().all()


def owned_with_others(connection: Connection, user_id: UUID) -> Sequence[RowMapping]:
    """Return ``id`` and ``name`` of the workspaces with other members and no other owner."""
    return connection.execute(_OWNED_WITH_OTHERS, {"user_id": user_id}).mappings().all()


_OWNED_WITH_OTHERS = text("""
    SELECT w.id, w.name FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
     WHERE m.user_id = :user_id AND m.role = 'owner' AND w.purge_at IS NULL
       AND EXISTS (SELECT FROM memberships o
                    WHERE o.workspace_id = m.workspace_id AND o.user_id <> m.user_id)
       AND NOT EXISTS (SELECT FROM memberships o
                        WHERE o.workspace_id = m.workspace_id AND o.user_id <> m.user_id
                          AND o.role = 'owner')
     ORDER BY w.id""")


def change(connection: Connection, workspace_id: UUID, values: Mapping[str, Any]) -> None:
    """Change some columns of a workspace."""
    query = update(workspaces).where(workspaces.c.id == workspace_id)
    connection.execute(query.values(**values))


_ROTATE = text("""
    UPDATE workspaces
       SET previous_signing_secret = signing_secret, previous_secret_until = :until,
           signing_secret = :secret
     WHERE id = :id""")


def rotate_secret(
    connection: Connection, workspace_id: UUID, *, secret: str, until: datetime
) -> None:
    """Sign with ``secret`` from now on, and with the previous secret as well ``until`` then."""
    connection.execute(_ROTATE, {"id": workspace_id, "secret": secret, "until": until})


_MEMBERS = select(
    memberships.c.user_id,
    users.c.email,
    memberships.c.role,
    memberships.c.created_at.label("joined_at"),
).join(users, users.c.id == memberships.c.user_id)


def members(connection: Connection, workspace_id: UUID) -> Sequence[RowMapping]:
    """Return the members of a workspace, in the order in which they joined."""
    query = _MEMBERS.where(memberships.c.workspace_id == workspace_id)
    query = query.order_by(memberships.c.created_at, memberships.c.user_id)
    return connection.execute(query).mappings().all()


def find_member(connection: Connection, workspace_id: UUID, user_id: UUID) -> RowMapping | None:
    """Return a member as :func:`members` does, or None."""
    query = _MEMBERS.where(
        memberships.c.workspace_id == workspace_id, memberships.c.user_id == user_id
    )
    return connection.execute(query).mappings().one_or_none()


def find_member_by_email(
    connection: Connection, workspace_id: UUID, email: str
) -> RowMapping | None:
    """Return the membership of that address, or None. Upper and lower case are the same."""
    query = (
        select(memberships)
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.workspace_id == workspace_id, users.c.email_key == email_key(email))
    )
    return connection.execute(query).mappings().one_or_none()


def count_members(connection: Connection, workspace_id: UUID, role: str | None = None) -> int:
    """Return the number of members of the workspace, with ``role`` or with any."""
    query = select(func.count()).where(memberships.c.workspace_id == workspace_id)
    if role is not None:
        query = query.where(memberships.c.role == role)
    return int(connection.execute(query).scalar_one())


def set_role(connection: Connection, workspace_id: UUID, user_id: UUID, role: str) -> None:
    """Change the role of a member."""
    connection.execute(
        update(memberships)
        .where(memberships.c.workspace_id == workspace_id, memberships.c.user_id == user_id)
        .values(role=role)
    )


def remove_member(connection: Connection, workspace_id: UUID, user_id: UUID) -> None:
    """End a membership."""
    connection.execute(
        delete(memberships).where(
            memberships.c.workspace_id == workspace_id, memberships.c.user_id == user_id
        )
    )


_HAS_VERIFIED_OWNER = text("""
    SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                    WHERE m.workspace_id = :workspace_id AND m.role = 'owner'
                      AND u.verified_at IS NOT NULL AND u.disabled_at IS NULL)""")


def has_verified_owner(connection: Connection, workspace_id: UUID) -> bool:
    """Return whether an owner of the workspace reads the mail of the account's address."""
    parameters = {"workspace_id": workspace_id}
    return bool(connection.execute(_HAS_VERIFIED_OWNER, parameters).scalar_one())

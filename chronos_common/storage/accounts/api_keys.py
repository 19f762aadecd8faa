"""The statements on ``api_keys``. ``authentication`` finds the caller of a key."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Connection,
    RowMapping,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from chronos_common.storage import pages
from chronos_common.storage.tables import api_keys, users

_WITH_CREATOR = select(api_keys, users.c.email.label("user_email")).join(
    users, users.c.id == api_keys.c.user_id
)


def insert_key(
    connection: Connection,
    key_id: UUID,
    *,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    prefix: str,
    secret_sha256: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
    now: datetime,
) -> None:
    """Store a new key with the hash of its secret."""
    connection.execute(
        insert(api_keys).values(
            id=key_id,
            workspace_id=workspace_id,
            user_id=user_id,
            name=name,
            prefix=prefix,
            secret_sha256=secret_sha256,
            scopes=list(scopes),
            created_at=now,
            expires_at=expires_at,
        )
    )


def find(connection: Connection, workspace_id: UUID, key_id: UUID) -> RowMapping | None:
    """Return a key of the workspace with its creator's ``user_email``, or None."""
    query = _WITH_CREATOR.where(api_keys.c.workspace_id == workspace_id, api_keys.c.id == key_id)
    return connection.execute(query).mappings().one_or_none()


def page(
    connection: Connection, workspace_id: UUID, *, after: UUID | None, offset: int, limit: int
) -> tuple[Sequence[RowMapping], int]:
    """Return some keys that were not revoked, the latest first, and their number."""
    query = _WITH_CREATOR.where(
        api_keys.c.workspace_id == workspace_id, api_keys.c.revoked_at.is_(None)
    )
    return pages.page(connection, query, api_keys.c.id, after=after, offset=offset, limit=limit)


def of_user(connection: Connection, user_id: UUID) -> Sequence[RowMapping]:
    """Return the keys that the user made in any workspace and that were not revoked."""
    query = _WITH_CREATOR.where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    return connection.execute(query.order_by(api_keys.c.id)).mappings().all()


def count_usable(connection: Connection, workspace_id: UUID, *, now: datetime) -> int:
    """Return how many keys of the workspace are neither revoked nor expired."""
    query = select(func.count()).where(
        api_keys.c.workspace_id == workspace_id,
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
    )
    return int(connection.execute(query).scalar_one())


def revoke(connection: Connection, workspace_id: UUID, key_id: UUID, *, now: datetime) -> bool:
    """Revoke the key. Return False if there is none, or if it was revoked before."""
    revoked = connection.execute(
        update(api_keys)
        .where(
            api_keys.c.workspace_id == workspace_id,
            api_keys.c.id == key_id,
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    return revoked.rowcount > 0


def revoke_of_user(
    connection: Connection, user_id: UUID, *, workspace_id: UUID | None = None, now: datetime
) -> int:
    """Revoke the keys that the user made, in the workspace or in all. Return their number."""
    query = update(api_keys).where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    if workspace_id is not None:
        query = query.where(api_keys.c.workspace_id == workspace_id)
    return connection.execute(query.values(revoked_at=now)).rowcount


_PRUNE = text("DELETE FROM api_keys WHERE COALESCE(revoked_at, expires_at) < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove keys that were revoked or expired before ``before``, and return their number."""
    return connection.execute(_PRUNE, {"before": before}).rowcount

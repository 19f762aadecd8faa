"""The statements that identify the caller of the API, at every request."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.storage.postgres.prepared_statements import prepared

#: ``last_used_at`` of a key is written at most this often.
USE_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """An enabled user, and their role in the requested workspace or in their first one.

    ``workspace_id`` is None if they are not a member of it. ``scopes`` limit an API key.
    """

    user_id: UUID
    email: str
    is_operator: bool
    verified_at: datetime | None
    workspace_id: UUID | None
    role: str | None
    family_id: UUID | None = None
    key_id: UUID | None = None
    scopes: frozenset[str] = frozenset()


_BY_LOGIN = prepared(
    text("""
    SELECT u.id AS user_id, u.email, u.is_operator, u.verified_at, m.workspace_id, m.role
      FROM users u
      LEFT JOIN LATERAL (
           SELECT o.workspace_id, o.role FROM memberships o
             JOIN workspaces w ON w.id = o.workspace_id AND w.purge_at IS NULL
            WHERE o.user_id = u.id
              AND (CAST(:workspace_id AS uuid) IS NULL OR o.workspace_id = :workspace_id)
            ORDER BY o.created_at, o.workspace_id LIMIT 1) m ON true
     WHERE u.id = :user_id AND u.disabled_at IS NULL
       AND (SELECT bool_and(revoked_at IS NULL) FROM refresh_tokens
             WHERE family_id = :family_id AND user_id = u.id)""")
)


def by_login(
    connection: Connection, user_id: UUID, family_id: UUID, workspace_id: UUID | None
) -> Identity | None:
    """Return the user of a login. None if it ended, or if the account is disabled."""
    rows = connection.execute(
        _BY_LOGIN, {"user_id": user_id, "family_id": family_id, "workspace_id": workspace_id}
    ).mappings()
    found = rows.one_or_none()
    return None if found is None else Identity(**dict[str, Any](found), family_id=family_id)


# A key acts as its creator: without their membership there is no key. A deleted workspace has
# neither members nor keys.
_KEYS = """
    SELECT k.id AS key_id, k.secret_sha256, k.scopes, k.last_used_at,
           u.id AS user_id, u.email, u.is_operator, u.verified_at, m.workspace_id, m.role
      FROM api_keys k
      JOIN users u ON u.id = k.user_id AND u.disabled_at IS NULL
      JOIN memberships m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id
      JOIN workspaces w ON w.id = k.workspace_id AND w.purge_at IS NULL
     WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now)"""
_BY_KEY = prepared(text(f"{_KEYS} AND k.prefix = :prefix"))
_BY_KEY_ID = prepared(text(f"{_KEYS} AND k.id = :id"))

# Requests of one key run concurrently. One of them is enough to record the use.
_USED = text("""
    UPDATE api_keys SET last_used_at = :now
     WHERE id = (SELECT id FROM api_keys
                  WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :before)
                    FOR UPDATE SKIP LOCKED)""")


def by_key(
    connection: Connection,
    prefix: str,
    sha256: str,
    workspace_id: UUID | None,
    *,
    now: datetime,
) -> Identity | None:
    """Return the user of an API key, and record its use. None if it is unknown or not valid.

    A key serves its own workspace only.
    """
    row = connection.execute(_BY_KEY, {"prefix": prefix, "now": now}).mappings().one_or_none()
    if row is None or not hmac.compare_digest(row["secret_sha256"], sha256):
        return None
    return _use(connection, row, workspace_id, now=now)


def by_key_id(
    connection: Connection, key_id: UUID, workspace_id: UUID | None, *, now: datetime
) -> Identity | None:
    """Return the user of an API key whose secret was checked before, as :func:`by_key` does."""
    row = connection.execute(_BY_KEY_ID, {"id": key_id, "now": now}).mappings().one_or_none()
    return None if row is None else _use(connection, row, workspace_id, now=now)


_STANDS = text("""
    SELECT u.id FROM users u
     WHERE u.id = :user_id AND u.disabled_at IS NULL
       AND (CAST(:family_id AS uuid) IS NULL
            OR (SELECT bool_and(revoked_at IS NULL) FROM refresh_tokens
                 WHERE family_id = :family_id AND user_id = u.id))
       AND (CAST(:key_id AS uuid) IS NULL
            OR EXISTS (SELECT FROM api_keys WHERE id = :key_id AND revoked_at IS NULL))""")


def stands(
    connection: Connection, user_id: UUID, *, family_id: UUID | None, key_id: UUID | None
) -> bool:
    """Return whether a login, or an API key, that was accepted before has not ended since."""
    caller = {"user_id": user_id, "family_id": family_id, "key_id": key_id}
    return connection.execute(_STANDS, caller).first() is not None


def _use(
    connection: Connection, row: Mapping[Any, Any], workspace_id: UUID | None, *, now: datetime
) -> Identity:
    before = now - USE_RESOLUTION
    if row["last_used_at"] is None or row["last_used_at"] < before:
        connection.execute(_USED, {"id": row["key_id"], "now": now, "before": before})
    is_here = workspace_id in {None, row["workspace_id"]}
    return Identity(
        user_id=row["user_id"],
        email=row["email"],
        is_operator=row["is_operator"],
        verified_at=row["verified_at"],
        workspace_id=row["workspace_id"] if is_here else None,
        role=row["role"] if is_here else None,
        key_id=row["key_id"],
        scopes=frozenset(row["scopes"]),
    )

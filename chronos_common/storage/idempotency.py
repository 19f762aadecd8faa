"""The statements on ``idempotency_keys``: requests that must not have their effect twice.

1. Before a request has its effect, it takes its key. Only one of several at once gets it.
2. If it succeeded, its answer is kept with the key. If it failed, the key is given back.
3. A later request with the key gets that answer. A key whose request never ended (the process was
   killed) stays taken, because the request may have had its effect.
4. A day later the key is free again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, text

from chronos_common.storage.tables import idempotency_keys

RETENTION = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its user sent it. Other users may send the same one."""

    workspace_id: UUID
    user_id: UUID
    text: str

    @property
    def columns(self) -> dict[str, object]:
        """The primary key."""
        return {"workspace_id": self.workspace_id, "user_id": self.user_id, "key": self.text}


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """The first request with a key. ``status`` is None while its end is unknown.

    ``body`` is None if the answer is not kept.
    """

    fingerprint: str
    status: int | None
    headers: Mapping[str, str]
    body: str | None


# An expired key that was not pruned yet is as good as none.
_TAKE = text("""
    INSERT INTO idempotency_keys AS known (workspace_id, user_id, key, fingerprint, created_at)
    VALUES (:workspace_id, :user_id, :key, :fingerprint, :now)
    ON CONFLICT (workspace_id, user_id, key) DO UPDATE
       SET fingerprint = :fingerprint, created_at = :now,
           finished_at = NULL, status = NULL, headers = NULL, body = NULL
     WHERE known.created_at < :expired
 RETURNING key""")

_FIND = text("""
    SELECT fingerprint, status, headers, body FROM idempotency_keys
     WHERE workspace_id = :workspace_id AND user_id = :user_id AND key = :key""")


def take(
    connection: Connection, key: Key, fingerprint: str, *, now: datetime
) -> FirstRequest | None:
    """Reserve a key and return None, or return the request that has it."""
    expired = now - RETENTION
    parameters = key.columns | {"fingerprint": fingerprint, "now": now, "expired": expired}
    if connection.execute(_TAKE, parameters).first():
        return None
    row = connection.execute(_FIND, key.columns).first()
    if row is None:
        # Given back a moment ago: the next try gets it.
        return FirstRequest(fingerprint, None, {}, None)
    return FirstRequest(row.fingerprint, row.status, row.headers or {}, row.body)


_KEEP = text("""
    UPDATE idempotency_keys
       SET finished_at = :now, status = :status, headers = CAST(:headers AS jsonb), body = :body
     WHERE workspace_id = :workspace_id AND user_id = :user_id AND key = :key""")


def keep(
    connection: Connection,
    key: Key,
    *,
    status: int,
    headers: Mapping[str, str],
    body: str | None,
    now: datetime,
) -> None:
    """Keep the answer of the request that took the key."""
    answer = {"status": status, "headers": json.dumps(dict(headers)), "body": body, "now": now}
    connection.execute(_KEEP, key.columns | answer)


def give_back(connection: Connection, key: Key) -> None:
    """Free the key of a request that had no effect."""
    columns = idempotency_keys.c
    connection.execute(
        delete(idempotency_keys).where(
            *(columns[name] == value for name, value in key.columns.items())
        )
    )


def prune(connection: Connection, *, now: datetime) -> None:
    """Remove keys that have expired."""
    expired = idempotency_keys.c.created_at < now - RETENTION
    connection.execute(delete(idempotency_keys).where(expired))

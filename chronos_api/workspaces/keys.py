"""API keys of a workspace: make, list, read, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import service as trail
from chronos_api.fields.pagination import Page, first_of
from chronos_api.security import credentials
from chronos_api.security.access import Principal, Scope
from chronos_api.security.credentials import KeyText
from chronos_common import ids
from chronos_common.errors import Conflict, Invalid, NotFound
from chronos_common.storage.accounts import api_keys, workspaces
from chronos_common.storage.postgres.database import transaction

MAX_KEYS = 200


class KeyNotFound(NotFound):
    """There is no such API key in this workspace, or it was revoked."""


class TooManyKeys(Conflict):
    """The workspace has as many API keys as it can have; revoke one first."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with the ``text`` that is shown this once."""

    row: RowMapping
    text: str


def make(
    engine: Engine,
    who: Principal,
    *,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    now: datetime,
) -> NewKey:
    """Make a key that acts as whoever calls, limited to ``scopes``.

    Raises :class:`Invalid` if it would have expired, and :class:`TooManyKeys`.
    """
    if expires_at is not None and expires_at <= now:
        raise Invalid({"expires_at": ["Must be in the future."]})
    key_id, text = ids.new_id(now), credentials.new_key()
    stored = KeyText.read(text)
    chosen = sorted(set(scopes))
    with transaction(engine) as connection:
        # Locked, so that requests side by side do not pass the bound together.
        workspaces.find(connection, who.workspace_id, lock=True)
        if api_keys.count_usable(connection, who.workspace_id, now=now) >= MAX_KEYS:
            raise TooManyKeys
        api_keys.insert_key(
            connection,
            key_id,
            workspace_id=who.workspace_id,
            user_id=who.user_id,
            name=name,
            prefix=stored.prefix,
            secret_sha256=stored.sha256,
            scopes=chosen,
            expires_at=expires_at,
            now=now,
        )
        row = _found(connection, who, key_id)
        _note(connection, who, "key.create", row, now=now)
        return NewKey(row, text)


def list_keys(
    engine: Engine, who: Principal, *, after: UUID | None, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the keys that were not revoked, the latest first."""
    with transaction(engine) as connection:
        rows, total = api_keys.page(
            connection,
            who.workspace_id,
            after=after,
            offset=(page - 1) * limit,
            limit=limit + 1,
        )
    return first_of(rows, total, limit)


def read(engine: Engine, who: Principal, key_id: UUID) -> RowMapping:
    """Return a key. Raises :class:`KeyNotFound`."""
    with transaction(engine) as connection:
        return _found(connection, who, key_id)


def revoke(engine: Engine, who: Principal, key_id: UUID, *, now: datetime) -> None:
    """Refuse a key from now on. Raises :class:`KeyNotFound`."""
    with transaction(engine) as connection:
        row = _found(connection, who, key_id)
        if not api_keys.revoke(connection, who.workspace_id, key_id, now=now):
            raise KeyNotFound
        _note(connection, who, "key.revoke", row, now=now)


def _found(connection: Connection, who: Principal, key_id: UUID) -> RowMapping:
    row = api_keys.find(connection, who.workspace_id, key_id)
    if row is None or row["revoked_at"] is not None:
        raise KeyNotFound
    return row


def _note(
    connection: Connection, who: Principal, action: str, row: RowMapping, *, now: datetime
) -> None:
    trail.note(
        connection,
        who,
        action,
        ("key", row["id"]),
        {
            "name": row["name"],
            "prefix": row["prefix"],
            "scopes": list(row["scopes"]),
            "expires_at": row["expires_at"].isoformat() if row["expires_at"] else None,
        },
        workspace_id=who.workspace_id,
        now=now,
    )

"""API keys of a workspace: create, list, read, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.context import current
from chronos_api.fields.pagination import Page, read_page
from chronos_api.security import credentials
from chronos_api.security.access import Scope, UnverifiedAccount
from chronos_api.security.credentials import KeyText
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common import ids
from chronos_common.errors import Conflict, Invalid, NotFound
from chronos_common.storage.accounts import api_keys, users, workspaces

MAX_KEYS = 200


class KeyNotFound(NotFound):
    """There is no such API key in this workspace, or it was revoked."""


class TooManyKeys(Conflict):
    """The workspace has as many API keys as it can have. Revoke one first."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with the ``text`` that is shown this once."""

    row: RowMapping
    text: str


def create(
    call: Call, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> NewKey:
    """Create a key in a transaction of its own. See :func:`add`."""
    with begin(call) as tx:
        return add(tx, name=name, scopes=scopes, expires_at=expires_at)


def add(
    tx: Transaction, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> NewKey:
    """Create a key that acts as the member who calls, limited to ``scopes``.

    Raises :class:`TooManyKeys`, and the errors of :func:`check_permitted`.
    """
    check_permitted(tx, expires_at=expires_at)
    key_id, text = ids.new_id(tx.now), credentials.new_key()
    stored = KeyText.read(text)
    # Locked, so that requests side by side do not pass the bound together.
    workspaces.find(tx.connection, tx.workspace_id, lock=True)
    if api_keys.count_usable(tx.connection, tx.workspace_id, now=tx.now) >= MAX_KEYS:
        raise TooManyKeys
    api_keys.insert_key(
        tx.connection,
        key_id,
        workspace_id=tx.workspace_id,
        user_id=tx.principal.user_id,
        name=name,
        prefix=stored.prefix,
        secret_sha256=stored.sha256,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        now=tx.now,
    )
    row = _find(tx, key_id)
    tx.audit("key.create", "key", {key_id: _details(row)})
    return NewKey(row, text)


def check_permitted(tx: Transaction, *, expires_at: datetime | None) -> None:
    """Raise if the caller may not make a key now that expires then.

    Raises :class:`Invalid`, :class:`UnverifiedAccount`, and
    :class:`~chronos_api.transactions.CallerEnded`.
    """
    if expires_at is not None and expires_at <= tx.now:
        raise Invalid({"expires_at": ["Must be in the future."]})
    tx.confirm_caller()
    if current().settings.verifies_email:
        user = users.find(tx.connection, tx.account.user_id)
        if user is None or user["verified_at"] is None:
            raise UnverifiedAccount


def list_keys(call: Call, *, after: UUID | None, page: int, limit: int) -> Page[UUID]:
    """Return a page of the keys that were not revoked, the latest first."""
    with reading(call) as session:
        query = partial(api_keys.page, session.connection, session.workspace_id, after=after)
        return read_page(query, page=page, limit=limit)


def read(call: Call, key_id: UUID) -> RowMapping:
    """Return a key. Raises :class:`KeyNotFound`."""
    with reading(call) as session:
        return _find(session, key_id)


def revoke(call: Call, key_id: UUID) -> None:
    """Refuse a key from now on. Raises :class:`KeyNotFound`."""
    with begin(call) as tx:
        row = _find(tx, key_id)
        if not api_keys.revoke(tx.connection, tx.workspace_id, key_id, now=tx.now):
            raise KeyNotFound
        tx.audit("key.revoke", "key", {key_id: _details(row)})


def _find(session: Session, key_id: UUID) -> RowMapping:
    row = api_keys.find(session.connection, session.workspace_id, key_id)
    if row is None or row["revoked_at"] is not None:
        raise KeyNotFound
    return row


def _details(row: RowMapping) -> dict[str, Any]:
    return {
        "name": row["name"],
        "prefix": row["prefix"],
        "scopes": list(row["scopes"]),
        "expires_at": row["expires_at"].isoformat() if row["expires_at"] else None,
    }

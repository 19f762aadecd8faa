"""What the operator of this installation does with accounts: list, disable, enable."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping

from chronos_api.audit import service as trail
from chronos_api.fields.pagination import Page, first_of
from chronos_api.security.access import Account
from chronos_common.errors import Conflict, NotFound
from chronos_common.storage.accounts import users
from chronos_common.storage.postgres.database import transaction


class AccountNotFound(NotFound):
    """There is no such account."""


class OwnAccount(Conflict):
    """You cannot disable your own account: nobody could enable it again."""


def list_accounts(
    engine: Engine, *, search: str | None, after: UUID | None, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the accounts, the oldest first."""
    with transaction(engine) as connection:
        rows, total = users.page(
            connection, search=search, after=after, offset=(page - 1) * limit, limit=limit + 1
        )
    return first_of(rows, total, limit)


def disable(engine: Engine, who: Account, user_id: UUID, *, now: datetime) -> RowMapping:
    """End every login of an account, and refuse it and its API keys until it is enabled."""
    if user_id == who.user_id:
        raise OwnAccount
    with transaction(engine) as connection:
        row = _locked(connection, user_id)
        if row["disabled_at"] is None:
            users.set_disabled(connection, user_id, now)
            users.revoke_all_families(connection, user_id, now=now)
            _note(connection, who, "account.disable", row, now=now)
        return _locked(connection, user_id)


def enable(engine: Engine, who: Account, user_id: UUID, *, now: datetime) -> RowMapping:
    """Let an account log in again; its API keys serve again too."""
    with transaction(engine) as connection:
        row = _locked(connection, user_id)
        if row["disabled_at"] is not None:
            users.set_disabled(connection, user_id, None)
            _note(connection, who, "account.enable", row, now=now)
        return _locked(connection, user_id)


def _locked(connection: Connection, user_id: UUID) -> RowMapping:
    row = users.find(connection, user_id, lock=True)
    if row is None:
        raise AccountNotFound
    return row


def _note(
    connection: Connection, who: Account, action: str, row: Mapping[Any, Any], *, now: datetime
) -> None:
    trail.note(
        connection,
        who,
        action,
        ("user", row["id"]),
        {"email": row["email"]},
        workspace_id=None,
        now=now,
    )

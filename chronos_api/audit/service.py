"""The audit log: what the services note in it, and what owners read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from chronos_api.fields.pagination import Page, first_of
from chronos_api.security.access import Account, Principal
from chronos_common.storage import audit
from chronos_common.storage.accounts import users
from chronos_common.storage.audit import AuditFilter
from chronos_common.storage.postgres.database import transaction


def note(
    connection: Connection,
    who: Principal | Account,
    action: str,
    subject: tuple[str, UUID],
    details: Mapping[str, Any],
    *,
    workspace_id: UUID | None,
    now: datetime,
) -> None:
    """Note in the log of a workspace, or of the installation (None), what ``who`` did.

    ``subject`` is the kind of what was changed, and its id.
    """
    audit.append(
        connection,
        workspace_id=workspace_id,
        user_id=who.user_id,
        key_id=who.key_id,
        action=action,
        subject_type=subject[0],
        subject_id=subject[1],
        details=details,
        now=now,
    )


def note_own(
    connection: Connection,
    user_id: UUID,
    action: str,
    details: Mapping[str, Any] | None = None,
    *,
    now: datetime,
) -> None:
    """Note what somebody did to their own account, in the workspace that they joined first."""
    audit.append(
        connection,
        workspace_id=users.first_workspace_of(connection, user_id),
        user_id=user_id,
        action=action,
        subject_type="user",
        subject_id=user_id,
        details=details or {},
        now=now,
    )


def list_entries(
    engine: Engine, workspace_id: UUID | None, filters: AuditFilter, *, page: int, limit: int
) -> Page[UUID]:
    """Return a page of the log of a workspace, or of the installation (None)."""
    with transaction(engine) as connection:
        rows, total = audit.page(
            connection, workspace_id, filters, offset=(page - 1) * limit, limit=limit + 1
        )
    return first_of(rows, total, limit)

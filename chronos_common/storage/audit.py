"""The statements on ``audit_log``: who changed what, appended and never changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, RowMapping, insert, select, text

from chronos_common import ids
from chronos_common.domain.addresses import email_key
from chronos_common.storage import change_feed, pages
from chronos_common.storage.tables import audit_log, memberships, users

#: The subjects of live events; not every member may read about members and keys.
_LIVE = frozenset({"job", "execution"})


def append(
    connection: Connection,
    *,
    workspace_id: UUID | None,
    user_id: UUID | None,
    action: str,
    subject_type: str,
    details: Mapping[UUID, Mapping[str, Any]],
    now: datetime,
    key_id: UUID | None = None,
) -> None:
    """Append the same change of some subjects, in its transaction.

    ``action`` is like "job.pause". ``details`` is by the subject's id, and without secrets.
    ``key_id`` is the API key that ``user_id`` acted with. A change of the installation has no
    ``workspace_id``.
    """
    _append(
        connection,
        [(workspace_id, subject_id, each) for subject_id, each in details.items()],
        now=now,
        user_id=user_id,
        key_id=key_id,
        action=action,
        subject_type=subject_type,
    )


def append_automatic(
    connection: Connection,
    *,
    action: str,
    subject_type: str,
    details: Mapping[tuple[UUID, UUID], Mapping[str, Any]],
    now: datetime,
) -> None:
    """Append changes that Chronos made by itself; ``details`` is by workspace and subject."""
    _append(
        connection,
        [(*subject, each) for subject, each in details.items()],
        now=now,
        user_id=None,
        key_id=None,
        action=action,
        subject_type=subject_type,
    )


def _append(
    connection: Connection,
    changes: Sequence[tuple[UUID | None, UUID, Mapping[str, Any]]],
    *,
    now: datetime,
    user_id: UUID | None,
    key_id: UUID | None,
    action: str,
    subject_type: str,
) -> None:
    """Append changes: the workspace, the subject's id and the details of each."""
    if not changes:
        return
    connection.execute(
        insert(audit_log),
        [
            {
                "id": ids.new_id(now),
                "workspace_id": workspace_id,
                "user_id": user_id,
                "key_id": key_id,
                "action": action,
                "subject_type": subject_type,
                "subject_id": subject_id,
                "details": dict(details),
                "at": now,
            }
            for workspace_id, subject_id, details in changes
        ],
    )
    if subject_type in _LIVE:
        change_feed.note(
            connection,
            [
                change_feed.UserAction(workspace_id, subject_type, subject_id, action)
                for workspace_id, subject_id, _ in changes
                if workspace_id is not None
            ],
        )


#: Failed logins that are recorded in an hour: of each account, and of all addresses without one.
MAX_FAILED_LOGINS = 20

_APPEND_FAILED_LOGIN = text("""
    INSERT INTO audit_log (id, workspace_id, action, subject_type, subject_id, details, at)
    SELECT :id, m.workspace_id, 'user.login_failed', 'user', s.subject_id, :details, :now
      FROM (SELECT CAST(:email_key AS text) AS email_key) given
      LEFT JOIN users u ON u.email_key = given.email_key
      LEFT JOIN LATERAL (
           SELECT workspace_id FROM memberships WHERE user_id = u.id
            ORDER BY created_at, workspace_id LIMIT 1) m ON true
      CROSS JOIN LATERAL (SELECT COALESCE(u.id, CAST(:nobody AS uuid)) AS subject_id) s
     WHERE (SELECT count(*) FROM audit_log a
             WHERE a.subject_id = s.subject_id AND a.action = 'user.login_failed'
               AND a.id >= :since) < :most""")


def append_failed_login(
    connection: Connection, email: str, details: Mapping[str, Any], *, now: datetime
) -> None:
    """Append a failed login to the log of the user's first workspace, unless there are many.

    Without such a user it is a change of the installation, whose subject is nobody.
    """
    connection.execute(
        _APPEND_FAILED_LOGIN,
        {
            "id": ids.new_id(now),
            "email_key": email_key(email),
            "nobody": UUID(int=0),
            "details": json.dumps(details),
            "since": ids.lowest_at(now - timedelta(hours=1)),
            "most": MAX_FAILED_LOGINS,
            "now": now,
        },
    )


_PRUNE = text("""
    DELETE FROM audit_log WHERE id IN (
        SELECT id FROM audit_log WHERE id < :before ORDER BY id LIMIT :batch
           FOR UPDATE SKIP LOCKED)""")


def prune(connection: Connection, *, before: datetime, batch: int) -> int:
    """Remove entries of before that instant, the oldest first. Return their number."""
    parameters = {"before": ids.lowest_at(before), "batch": batch}
    return connection.execute(_PRUNE, parameters).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Conditions on the entries. Each one applies if it is set. ``action`` may end in ``.*``."""

    action: str | None = None
    subject_type: str | None = None
    subject_id: UUID | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None


def page(
    connection: Connection,
    workspace_id: UUID | None,
    filters: AuditFilter,
    *,
    offset: int,
    limit: int,
) -> tuple[Sequence[RowMapping], int]:
    """Return some entries of the workspace, the latest first, and their number.

    None is the installation itself.
    """
    query = (
        select(audit_log, users.c.email.label("user_email"))
        .join(users, users.c.id == audit_log.c.user_id, isouter=True)
        .where(*_conditions(workspace_id, filters))
    )
    return pages.page(
        connection, query, audit_log.c.id, after=filters.before, offset=offset, limit=limit
    )


def of_user(
    connection: Connection, user_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[RowMapping]:
    """Return some changes by the user in the workspaces that they belong to, the latest first."""
    query = (
        select(audit_log, users.c.email.label("user_email"))
        .join(memberships, memberships.c.workspace_id == audit_log.c.workspace_id)
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.user_id == user_id, audit_log.c.user_id == user_id)
    )
    if after is not None:
        query = query.where(audit_log.c.id < after)
    query = query.order_by(audit_log.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


_LATEST_CHANGES = text("""
    SELECT a.subject_id, a.at, u.email AS user_email
      FROM unnest(CAST(:subject_ids AS uuid[])) AS subject (id)
     CROSS JOIN LATERAL (
        SELECT subject_id, at, user_id FROM audit_log
         WHERE subject_id = subject.id AND workspace_id = :workspace_id
           AND subject_type = :subject_type
         ORDER BY id DESC LIMIT 1) AS a
      LEFT JOIN users u ON u.id = a.user_id""")


def latest_changes(
    connection: Connection, workspace_id: UUID, subject_type: str, subject_ids: Sequence[UUID]
) -> dict[UUID, Row[Any]]:
    """Return the instant and the user of the latest change of each subject that has one."""
    if not subject_ids:
        return {}
    parameters = {
        "workspace_id": workspace_id,
        "subject_type": subject_type,
        "subject_ids": list(subject_ids),
    }
    return {row.subject_id: row for row in connection.execute(_LATEST_CHANGES, parameters)}


def _conditions(workspace_id: UUID | None, filters: AuditFilter) -> list[ColumnElement[bool]]:
    columns = audit_log.c
    conditions: list[ColumnElement[bool]] = [columns.workspace_id == workspace_id]
    for name in ("subject_type", "subject_id", "user_id", "key_id"):
        value = getattr(filters, name)
        if value is not None:
            conditions.append(columns[name] == value)
    if filters.action is not None:
        if filters.action.endswith(".*"):
            conditions.append(columns.action.startswith(filters.action[:-1], autoescape=True))
        else:
            conditions.append(columns.action == filters.action)
    # Ids sort by time, so the index on them finds a range.
    if filters.since is not None:
        conditions.append(columns.id >= ids.lowest_at(filters.since))
    if filters.until is not None:
        conditions.append(columns.id < ids.lowest_at(filters.until))
    return conditions

"""The statements on ``notifications``: the outbox of failure e-mails.

A notification is written in the transaction that records the failure, so that neither exists
without the other. Sending is at least once: a notification is taken for a while, and comes back
if nobody says that it was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.storage.executions import Moved

#: Doubled after each attempt: eight attempts stretch over about two hours.
FIRST_DELAY = timedelta(minutes=1)
MAX_ATTEMPTS = 8

# Whom to tell: the job's own addresses; without any given, its creator. An empty list is nobody.
_ENQUEUE = text("""
    INSERT INTO notifications (id, workspace_id, job_id, execution_id, recipients, created_at,
                               due_at, attempts)
    SELECT f.id, j.workspace_id, j.id, f.execution_id, COALESCE(j.notify, ARRAY[u.email]),
           :now, :now, 0
      FROM unnest(CAST(:ids AS uuid[]), CAST(:executions AS uuid[]), CAST(:jobs AS uuid[]))
           AS f (id, execution_id, job_id)
      JOIN jobs j ON j.id = f.job_id
      LEFT JOIN users u ON u.id = j.created_by
     WHERE CASE WHEN j.notify IS NULL THEN u.email IS NOT NULL ELSE j.notify <> '{}' END
    ON CONFLICT (execution_id) DO NOTHING""")


def enqueue(connection: Connection, failed: Sequence[Moved], *, now: datetime) -> None:
    """Queue an e-mail for each finally failed execution whose job has somebody to tell."""
    if not failed:
        return
    connection.execute(
        _ENQUEUE,
        {
            "ids": [ids.new_id(now) for _ in failed],
            "executions": [each.id for each in failed],
            "jobs": [each.job_id for each in failed],
            "now": now,
        },
    )


_TAKE = text("""
    WITH due AS MATERIALIZED (
        SELECT id FROM notifications
         WHERE sent_at IS NULL AND abandoned_at IS NULL AND due_at <= :now
         ORDER BY due_at LIMIT :batch
           FOR UPDATE SKIP LOCKED)
    UPDATE notifications n
       SET attempts = attempts + 1, due_at = :now + :first_delay * power(2, attempts)
      FROM due WHERE n.id = due.id RETURNING n.id""")


def take(connection: Connection, *, batch: int, now: datetime) -> list[UUID]:
    """Take notifications that are due; each comes back later unless it is marked as sent."""
    rows = connection.execute(_TAKE, {"batch": batch, "now": now, "first_delay": FIRST_DELAY})
    return list(rows.scalars())


@dataclass(frozen=True, slots=True)
class Notification:
    """A failure to tell somebody of."""

    id: UUID
    recipients: Sequence[str]
    attempts: int
    execution_id: UUID
    job_id: UUID
    job_name: str
    scheduled_for: datetime
    finished_at: datetime
    execution_attempts: int
    error: str | None


_LOAD = text("""
    SELECT n.id, n.recipients, n.attempts, e.id AS execution_id, j.id AS job_id,
           j.name AS job_name, e.scheduled_for, e.finished_at, e.attempt AS execution_attempts,
           e.error
      FROM notifications n
      JOIN executions e ON e.id = n.execution_id
      JOIN jobs j ON j.id = n.job_id
     WHERE n.id = ANY(CAST(:ids AS uuid[])) AND n.sent_at IS NULL AND n.abandoned_at IS NULL""")


def load(connection: Connection, identifiers: Sequence[UUID]) -> list[Notification]:
    """Return what to say to whom, of the notifications that were not sent yet."""
    rows = connection.execute(_LOAD, {"ids": list(identifiers)})
    return [Notification(**row) for row in map(dict[str, Any], rows.mappings())]


def mark_sent(connection: Connection, identifier: UUID, *, now: datetime) -> None:
    """Note that the notification was sent."""
    connection.execute(
        text("UPDATE notifications SET sent_at = :now, error = NULL WHERE id = :id"),
        {"id": identifier, "now": now},
    )


_MARK_FAILED = text("""
    UPDATE notifications
       SET error = :error,
           abandoned_at = CASE WHEN :permanent OR attempts >= :max_attempts
                               THEN CAST(:now AS timestamptz) END
     WHERE id = :id RETURNING abandoned_at IS NOT NULL""")


def mark_failed(
    connection: Connection, identifier: UUID, *, error: str, permanent: bool, now: datetime
) -> bool:
    """Note that sending failed; True if it is not tried again."""
    return bool(
        connection.execute(
            _MARK_FAILED,
            {
                "id": identifier,
                "error": error,
                "permanent": permanent,
                "max_attempts": MAX_ATTEMPTS,
                "now": now,
            },
        ).scalar_one_or_none()
    )


_OVERDUE = text("""
    SELECT count(*) FROM notifications
     WHERE sent_at IS NULL AND abandoned_at IS NULL AND due_at < :before""")


def count_overdue(connection: Connection, *, before: datetime) -> int:
    """Return how many notifications should have been taken by ``before``."""
    return int(connection.execute(_OVERDUE, {"before": before}).scalar_one())


_PRUNE = text("DELETE FROM notifications WHERE created_at < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove notifications created before ``before``; return how many."""
    return connection.execute(_PRUNE, {"before": before}).rowcount

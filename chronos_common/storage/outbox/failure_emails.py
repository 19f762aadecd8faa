"""The statements on ``notifications``: the outbox of failure e-mails.

A notification is written in the transaction that records the failure, so that neither exists
without the other.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import Status
from chronos_common.storage.outbox.outbox import Outbox
from chronos_common.storage.tables import notifications

outbox = Outbox(notifications)

#: The time after the first failure of a job whose failures are sent together.
DIGEST_WINDOW = timedelta(minutes=5)

_FIRST = 2

# Two recorders must not both find the first failure of a job. In one order, against deadlocks.
_LOCK = text("""
    SELECT pg_advisory_xact_lock(hashtextextended('notify ' || job, 0))
      FROM (SELECT DISTINCT unnest(CAST(:jobs AS text[])) AS job ORDER BY 1) AS jobs""")

# Recipients are the job's own addresses, or its creator if none are given. An empty list means no
# e-mail. The first two failures of each job are enough: one to send at once, one to begin a
# digest. A digest takes more failures until it is sent.
_ENQUEUE = text("""
    WITH failed AS (
        SELECT f.id, f.execution_id, j.id AS job_id, j.workspace_id, f.place, f.failures,
               COALESCE(j.notify, ARRAY[u.email]) AS recipients
          FROM unnest(CAST(:ids AS uuid[]), CAST(:executions AS uuid[]), CAST(:jobs AS uuid[]),
                      CAST(:places AS integer[]), CAST(:failures AS integer[]))
               AS f (id, execution_id, job_id, place, failures)
          JOIN jobs j ON j.id = f.job_id
          LEFT JOIN users u ON u.id = j.created_by
         WHERE CASE WHEN j.notify IS NULL THEN u.email IS NOT NULL ELSE j.notify <> '{}' END),
    latest AS (
        SELECT DISTINCT ON (n.job_id) n.job_id, n.id, n.window_ends_at
          FROM notifications n
          JOIN failed f ON f.job_id = n.job_id AND f.place = 1 AND f.recipients = n.recipients
         WHERE n.window_ends_at > :now
         ORDER BY n.job_id, n.window_ends_at DESC),
    added AS (
        UPDATE notifications n SET failures = n.failures + f.failures, last_failed_at = :now
          FROM latest l JOIN failed f ON f.job_id = l.job_id AND f.place = 1
         WHERE n.id = l.id AND n.due_at > :now AND n.attempts = 0
     RETURNING n.job_id)
    INSERT INTO notifications (id, workspace_id, job_id, execution_id, recipients, created_at,
                               last_failed_at, failures, due_at, window_ends_at, attempts)
    SELECT f.id, f.workspace_id, f.job_id, f.execution_id, f.recipients, :now, :now,
           CASE WHEN l.id IS NOT NULL THEN f.failures
                WHEN f.place = 1 THEN 1 ELSE f.failures - 1 END,
           COALESCE(l.window_ends_at, :now + (f.place - 1) * CAST(:window AS interval)),
           COALESCE(l.window_ends_at + CAST(:window AS interval),
                    :now + f.place * CAST(:window AS interval)),
           0
      FROM failed f LEFT JOIN latest l ON l.job_id = f.job_id
     WHERE f.place <= CASE WHEN l.id IS NULL THEN 2 ELSE 1 END
       AND f.job_id NOT IN (SELECT job_id FROM added)
    ON CONFLICT (execution_id) DO NOTHING""")


def enqueue(connection: Connection, moved: Sequence[Moved], *, now: datetime) -> None:
    """Queue e-mails about those executions that failed for good and whose jobs have recipients.

    The first failure of a job is sent at once, and those of the next ``DIGEST_WINDOW`` in one
    digest at its end. While a job goes on failing, that makes one e-mail for each window.
    """
    failed = [each for each in moved if each.status is Status.FAILED]
    if not failed:
        return
    failures: Counter[UUID] = Counter()
    first: list[tuple[int, Moved]] = []
    for each in failed:
        failures[each.job_id] += 1
        if failures[each.job_id] <= _FIRST:
            first.append((failures[each.job_id], each))
    connection.execute(_LOCK, {"jobs": [str(job_id) for job_id in failures]})
    connection.execute(
        _ENQUEUE,
        {
            "ids": [ids.new_id(now) for _ in first],
            "executions": [each.id for _, each in first],
            "jobs": [each.job_id for _, each in first],
            "places": [place for place, _ in first],
            "failures": [failures[each.job_id] for _, each in first],
            "window": DIGEST_WINDOW,
            "now": now,
        },
    )


@dataclass(frozen=True, slots=True)
class FailureEmail:
    """The facts of one failure, or of many ``failures`` of one job.

    In a digest, the facts of an execution are those of the first one. ``delivered`` are the
    recipients who have the e-mail, ``refused`` those who will never get it, with the reasons.
    ``response`` is the answer to the last attempt.
    """

    id: UUID
    workspace_id: UUID
    recipients: Sequence[str]
    delivered: Sequence[str]
    refused: Mapping[str, str]
    attempts: int
    execution_id: UUID
    job_id: UUID
    job_name: str
    scheduled_for: datetime
    finished_at: datetime
    execution_attempts: int
    http_status: int | None
    error: str | None
    response: Mapping[str, Any] | None
    failures: int
    created_at: datetime
    last_failed_at: datetime


_LOAD = text("""
    SELECT n.id, n.workspace_id, n.recipients, n.delivered, n.refused, n.attempts,
           e.id AS execution_id, j.id AS job_id, j.name AS job_name,
           e.scheduled_for, e.finished_at, e.attempt AS execution_attempts, e.http_status, e.error,
           e.attempts -> -1 -> 'response' AS response, n.failures, n.created_at,
           COALESCE(n.last_failed_at, n.created_at) AS last_failed_at
      FROM notifications n
      JOIN executions e ON e.id = n.execution_id
      JOIN jobs j ON j.id = n.job_id
     WHERE n.id = :id AND n.sent_at IS NULL AND n.abandoned_at IS NULL""")


def load(connection: Connection, identifier: UUID) -> FailureEmail | None:
    """Return an e-mail's facts, unless it was sent or given up."""
    row = connection.execute(_LOAD, {"id": identifier}).mappings().one_or_none()
    return FailureEmail(**dict[str, Any](row)) if row else None


_MARK_RECIPIENTS = text("""
    UPDATE notifications SET delivered = delivered || CAST(:delivered AS text[]),
                             refused = refused || CAST(:refused AS jsonb)
     WHERE id = :id""")


def mark_recipients(
    connection: Connection,
    identifier: UUID,
    *,
    delivered: Sequence[str],
    refused: Mapping[str, str],
) -> None:
    """Store the recipients who have the e-mail or will never get it. Both are left out later."""
    connection.execute(
        _MARK_RECIPIENTS,
        {"id": identifier, "delivered": list(delivered), "refused": json.dumps(dict(refused))},
    )


#: The number of failures that a digest looks at.
MAX_SAMPLED = 1000
#: The age that the instants of these failures may have.
MAX_AGE = timedelta(days=1)
#: The number of errors that a digest names.
MAX_ERRORS = 5

_ERRORS = text("""
    SELECT error, count(*) AS failures
      FROM (SELECT error FROM executions
             WHERE job_id = :job_id AND id >= :lowest AND status = 'failed'
               AND finished_at BETWEEN :first AND :last
             ORDER BY id DESC LIMIT :most) AS sampled
     GROUP BY error ORDER BY failures DESC, error LIMIT :errors""")


def errors_of(connection: Connection, row: FailureEmail) -> list[tuple[str, int]]:
    """Return the most frequent errors that a digest stands for, with how often each was seen."""
    rows = connection.execute(
        _ERRORS,
        {
            "job_id": row.job_id,
            "lowest": ids.lowest_at(row.created_at - MAX_AGE),
            "first": row.created_at,
            "last": row.last_failed_at,
            "most": MAX_SAMPLED,
            "errors": MAX_ERRORS,
        },
    )
    return [(found.error or "-", found.failures) for found in rows]

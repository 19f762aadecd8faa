"""The statements on ``executions`` that rescue those of lost workers and lost messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Held:
    """A running execution that its worker will not finish."""

    id: UUID
    job_id: UUID
    attempt: int
    redeliveries: int


_LOST = text("""
    SELECT id, job_id, attempt, redeliveries FROM executions e
     WHERE finished_at IS NULL AND status = 'running'
       AND NOT EXISTS (SELECT FROM workers w WHERE w.id = e.worker_id)
     ORDER BY due_at LIMIT :batch
       FOR UPDATE SKIP LOCKED""")


def lost(connection: Connection, *, batch: int) -> list[Held]:
    """Lock running executions of workers that were declared lost."""
    return [Held(*row) for row in connection.execute(_LOST, {"batch": batch})]


class Suspicion(NamedTuple):
    """The kinds of loss that may be there. An action looks again, with locks."""

    is_any_lost: bool
    is_any_unclaimed: bool
    is_any_undispatched: bool


# Most ticks find nothing; this says so in one round trip, without a transaction or a lock.
# The orders keep it to the indexes, however many rows there were when PostgreSQL counted last.
_SUSPECT = text("""
    SELECT EXISTS (SELECT FROM workers WHERE heartbeat_at <= :alive_since)
           OR EXISTS (SELECT FROM executions e
                       WHERE finished_at IS NULL AND status = 'running'
                         AND NOT EXISTS (SELECT FROM workers w WHERE w.id = e.worker_id)),
           (SELECT due_at FROM executions
             WHERE finished_at IS NULL AND status = 'queued'
               AND due_at < :before AND dispatched_at < :before
             ORDER BY due_at LIMIT 1) IS NOT NULL,
           (SELECT due_at FROM executions
             WHERE dispatched_at IS NULL AND finished_at IS NULL AND status <> 'running'
               AND due_at <= :horizon
             ORDER BY due_at LIMIT 1) IS NOT NULL""")


def suspect(
    connection: Connection, *, alive_since: datetime, before: datetime, horizon: datetime
) -> Suspicion:
    """Return which of :func:`lost`, :func:`unclaimed` and ``undispatched.lock_due`` may find rows.

    A process that gave no sign since ``alive_since`` counts as lost.
    """
    parameters = {"alive_since": alive_since, "before": before, "horizon": horizon}
    return Suspicion(*connection.execute(_SUSPECT, parameters).one())


_REDELIVER = text("""
    UPDATE executions
       SET status = 'queued', worker_id = NULL, dispatched_at = NULL,
           redeliveries = redeliveries + 1
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' RETURNING id""")


def redeliver(connection: Connection, identifiers: Sequence[UUID]) -> int:
    """Queue the same attempt of running executions again, and return their number."""
    if not identifiers:
        return 0
    return len(connection.execute(_REDELIVER, {"ids": list(identifiers)}).all())


_UNCLAIMED = text("""
    SELECT id FROM executions
     WHERE finished_at IS NULL AND status = 'queued'
       AND (CAST(:queue AS text) IS NULL OR queue = :queue)
       AND due_at < :before AND dispatched_at < :before
     ORDER BY due_at LIMIT :batch""")


def unclaimed(
    connection: Connection, queue: str | None, *, before: datetime, batch: int
) -> list[UUID]:
    """Return executions of ``queue`` (None: of all) that no worker claimed in time."""
    parameters = {"queue": queue, "before": before, "batch": batch}
    return list(connection.execute(_UNCLAIMED, parameters).scalars())


_RUNNING_SINCE = text("""
    SELECT id, job_id, attempt, redeliveries FROM executions
     WHERE finished_at IS NULL AND status = 'running' AND claimed_at < :before
     ORDER BY due_at LIMIT :batch
       FOR UPDATE SKIP LOCKED""")


def running_since(connection: Connection, *, before: datetime, batch: int) -> list[Held]:
    """Lock executions that were claimed before ``before`` and are running still."""
    rows = connection.execute(_RUNNING_SINCE, {"before": before, "batch": batch})
    return [Held(*row) for row in rows]

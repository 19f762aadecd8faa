"""The statements on ``executions`` that rescue those of lost workers and lost messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    """What rescue may find; whoever acts on it looks again, with locks."""

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
    """Return what :func:`lost`, :func:`unclaimed` and ``dispatches.undispatched`` may find.

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


_GIVE_BACK = text("""
    UPDATE executions
       SET status = 'queued', worker_id = NULL, dispatched_at = NULL,
           started_at = CASE WHEN :have_left OR attempt > 1 OR redeliveries > 0
                             THEN started_at END
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' AND worker_id = :worker_id
       AND claimed_at = :claimed_at
 RETURNING id""")


def give_back(
    connection: Connection,
    identifiers: Sequence[UUID],
    *,
    worker_id: UUID,
    claimed_at: datetime,
    have_left: bool = False,
) -> int:
    """Queue executions that a worker claimed then and did not finish, and return their number.

    An execution that was not tried before has not started, unless its request may have left.
    Doing this twice is harmless: a later claim does not match, even one by the same worker.
    """
    if not identifiers:
        return 0
    parameters = {
        "ids": list(identifiers),
        "worker_id": worker_id,
        "claimed_at": claimed_at,
        "have_left": have_left,
    }
    return len(connection.execute(_GIVE_BACK, parameters).all())


_POSTPONE = text("""
    UPDATE executions
       SET status = 'queued', worker_id = NULL, dispatched_at = NULL, due_at = :due_at,
           started_at = CASE WHEN attempt > 1 OR redeliveries > 0 THEN started_at END
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' AND worker_id = :worker_id
       AND claimed_at = :claimed_at""")


def postpone(
    connection: Connection,
    identifiers: Sequence[UUID],
    *,
    worker_id: UUID,
    claimed_at: datetime,
    due_at: datetime,
) -> None:
    """Queue executions for ``due_at`` that a worker claimed then and did not start."""
    connection.execute(
        _POSTPONE,
        {
            "ids": list(identifiers),
            "worker_id": worker_id,
            "claimed_at": claimed_at,
            "due_at": due_at,
        },
    )


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


_STILL_HELD = text("""
    SELECT id FROM executions
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' AND worker_id = :worker_id""")


def still_held(
    connection: Connection, identifiers: Sequence[UUID], *, worker_id: UUID
) -> set[UUID]:
    """Return the executions that this worker still holds."""
    if not identifiers:
        return set()
    rows = connection.execute(_STILL_HELD, {"ids": list(identifiers), "worker_id": worker_id})
    return set(rows.scalars())


_STILL_WANTED = text("""
    SELECT e.id FROM executions e JOIN jobs j ON j.id = e.job_id
     WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.status = 'running' AND e.worker_id = :worker_id
       AND j.status <> 'cancelled' AND (j.status <> 'paused' OR e.trigger <> 'schedule')""")


def still_wanted(
    connection: Connection, identifiers: Sequence[UUID], *, worker_id: UUID
) -> set[UUID]:
    """Return the executions that this worker still holds and whose job was not stopped."""
    if not identifiers:
        return set()
    rows = connection.execute(_STILL_WANTED, {"ids": list(identifiers), "worker_id": worker_id})
    return set(rows.scalars())


_COUNT_UNFINISHED = text("""
    SELECT status, count(*) AS executions FROM executions
     WHERE finished_at IS NULL GROUP BY status""")


def count_unfinished(connection: Connection) -> Mapping[str, int]:
    """Return how many unfinished executions there are of each status, over all workspaces."""
    return {row.status: row.executions for row in connection.execute(_COUNT_UNFINISHED)}


def oldest_overdue(connection: Connection, *, now: datetime) -> timedelta:
    """Return for how long the most overdue queued execution has been due."""
    due_at = connection.execute(
        text("SELECT min(due_at) FROM executions WHERE finished_at IS NULL AND status = 'queued'")
    ).scalar_one()
    return max(now - due_at, timedelta(0)) if due_at else timedelta(0)

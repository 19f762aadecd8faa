"""The statements on due executions without a worker: find, mark as dispatched, and unmark."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.clock import MILLISECOND


class Dispatched(NamedTuple):
    """An execution to hand to the workers of ``queue``, to be performed at ``due_at``."""

    id: UUID
    queue: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Undispatched:
    """Due executions without a worker: to dispatch, or of paused or deleted jobs."""

    waiting: list[UUID]
    paused: list[UUID]
    deleted: list[UUID]

    def __len__(self) -> int:
        return len(self.waiting) + len(self.paused) + len(self.deleted)


# Most ticks find nothing. This takes one round trip, without a transaction or a lock.
# The order keeps it to the index, however many there were when PostgreSQL counted last.
_FIRST = text("""
    SELECT due_at FROM executions
     WHERE dispatched_at IS NULL AND finished_at IS NULL AND status <> 'running'
       AND due_at <= :horizon AND id BETWEEN :since AND :until
       AND queue = ANY(CAST(:queues AS text[]))
     ORDER BY due_at LIMIT 1""")

# Locking first and updating by id afterwards lets the second statement prune partitions.
# A job may have been paused or deleted while its attempt was failing or waited for its turn. Then
# its execution ends here. A job without a row was deleted by hand. A running execution was claimed
# after all, from a message that seemed lost.
_UNDISPATCHED = text("""
    SELECT e.id,
           j.status = 'paused' AND e.trigger = 'schedule' AS paused,
           j.id IS NULL OR j.status = 'cancelled' AS deleted
      FROM executions e LEFT JOIN jobs j ON j.id = e.job_id
     WHERE e.dispatched_at IS NULL AND e.finished_at IS NULL AND e.status <> 'running'
       AND e.due_at <= :horizon AND e.id BETWEEN :since AND :until
       AND e.queue = ANY(CAST(:queues AS text[]))
     ORDER BY e.due_at LIMIT :batch
       FOR UPDATE OF e SKIP LOCKED""")
_DISPATCH = text("""
    UPDATE executions SET status = 'queued', dispatched_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id, queue, due_at""")


def next_due(
    connection: Connection,
    queues: Collection[str],
    *,
    horizon: datetime,
    since: datetime | None = None,
) -> datetime | None:
    """Return when the first execution is due that :func:`lock_due` may find by ``horizon``.

    Others may be about to take it.
    """
    found = connection.execute(_FIRST, _search(queues, horizon, since))
    return cast("datetime | None", found.scalar_one_or_none())


def lock_due(
    connection: Connection,
    queues: Collection[str],
    *,
    horizon: datetime,
    batch: int,
    since: datetime | None = None,
) -> Undispatched:
    """Lock executions of ``queues`` that are due by ``horizon`` and have no worker.

    ``since`` bounds the search to occurrences scheduled from then until ``horizon``, a few
    partitions instead of all: nothing is due before it is scheduled.
    """
    search = _search(queues, horizon, since)
    rows = connection.execute(_UNDISPATCHED, search | {"batch": batch}).all()
    return Undispatched(
        waiting=[row.id for row in rows if not row.deleted and not row.paused],
        paused=[row.id for row in rows if row.paused],
        deleted=[row.id for row in rows if row.deleted],
    )


def _search(queues: Collection[str], horizon: datetime, since: datetime | None) -> dict[str, Any]:
    lowest, highest = UUID(int=0), UUID(int=(1 << 128) - 1)
    if since:
        lowest, highest = ids.lowest_at(since), ids.lowest_at(horizon + MILLISECOND)
    return {"queues": list(queues), "horizon": horizon, "since": lowest, "until": highest}


def mark_dispatched(
    connection: Connection, identifiers: Sequence[UUID], *, now: datetime
) -> list[Dispatched]:
    """Mark unfinished executions, which the caller has locked, as dispatched."""
    if not identifiers:
        return []
    rows = connection.execute(_DISPATCH, {"ids": list(identifiers), "now": now})
    return [Dispatched(*row) for row in rows]


_UNDO_DISPATCH = text("""
    UPDATE executions SET dispatched_at = NULL
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued' RETURNING id""")


def undo_dispatch(connection: Connection, identifiers: Sequence[UUID]) -> int:
    """Unmark executions whose message was not sent, and return their number."""
    if not identifiers:
        return 0
    return len(connection.execute(_UNDO_DISPATCH, {"ids": list(identifiers)}).all())

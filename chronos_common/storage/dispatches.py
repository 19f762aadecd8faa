"""The statements on ``executions`` that hand them over: found with no worker, marked, unmarked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids


@dataclass(frozen=True, slots=True)
class Dispatched:
    """An execution to hand to the workers of ``queue``, to be performed at ``due_at``."""

    id: UUID
    queue: str
    due_at: datetime


# Locking first and updating by id afterwards lets the second statement prune partitions.
# A job may have been paused while its attempt was failing: what had started and comes back for
# another try ends here.
_UNDISPATCHED = text("""
    SELECT e.id, j.status IN ('paused', 'cancelled') AND e.trigger = 'schedule' AS stopped
      FROM executions e JOIN jobs j ON j.id = e.job_id
     WHERE e.dispatched_at IS NULL AND e.finished_at IS NULL
       AND e.due_at <= :horizon AND e.id >= :since
     ORDER BY e.due_at LIMIT :batch
       FOR UPDATE OF e SKIP LOCKED""")
_DISPATCH = text("""
    UPDATE executions SET status = 'queued', dispatched_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id, queue, due_at""")


def undispatched(
    connection: Connection, *, horizon: datetime, batch: int, since: datetime | None = None
) -> tuple[list[UUID], list[UUID]]:
    """Lock executions that are due by ``horizon`` and with no worker.

    Returns the ids of those to dispatch, and of those whose job was stopped meanwhile. ``since``
    bounds the search to occurrences scheduled from then on: a few partitions instead of all.
    """
    lowest = ids.lowest_at(since) if since else UUID(int=0)
    rows = connection.execute(
        _UNDISPATCHED, {"horizon": horizon, "batch": batch, "since": lowest}
    ).all()
    return [row.id for row in rows if not row.stopped], [row.id for row in rows if row.stopped]


def dispatch(
    connection: Connection, identifiers: Sequence[UUID], *, now: datetime
) -> list[Dispatched]:
    """Mark unfinished executions, which the caller has locked, as handed over."""
    if not identifiers:
        return []
    rows = connection.execute(_DISPATCH, {"ids": list(identifiers), "now": now})
    return [Dispatched(*row) for row in rows]


_UNDO_DISPATCH = text("""
    UPDATE executions SET dispatched_at = NULL
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued' RETURNING id""")


def undo_dispatch(connection: Connection, identifiers: Sequence[UUID]) -> int:
    """Mark executions whose message did not get through as with no worker; return how many."""
    if not identifiers:
        return 0
    return len(connection.execute(_UNDO_DISPATCH, {"ids": list(identifiers)}).all())

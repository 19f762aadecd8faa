"""The statements on due executions without a worker: find, mark as dispatched, and unmark."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, Row, text

from chronos_common import ids
from chronos_common.clock import MILLISECOND


class Dispatched(NamedTuple):
    """An execution to hand to the workers of ``queue``, to be performed at ``due_at``."""

    id: UUID
    workspace_id: UUID
    queue: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Undispatched:
    """Due executions without a worker: to dispatch, or of paused or deleted jobs.

    ``counts`` are by queue. ``last`` is the last workspace, in the order of the ids.
    """

    waiting: list[UUID]
    paused: list[UUID]
    deleted: list[UUID]
    counts: Mapping[str, int]
    last: UUID | None


# The executions without a worker, of one queue. A running one was claimed after all, from a
# message that seemed lost. Comparing rows leaves no other index to choose: no queue is searched
# through the executions of another one, however many wait there.
_WAITING = """
       dispatched_at IS NULL AND finished_at IS NULL AND status <> 'running'
       AND id BETWEEN :since AND :until
       AND (queue, due_at) >= (q.queue, CAST('-infinity' AS timestamptz))
       AND (queue, due_at) <= (q.queue, CAST(:horizon AS timestamptz))
     ORDER BY queue, due_at"""

# Most ticks find nothing. This takes one round trip, without a transaction or a lock.
_FIRST = text(f"""
    SELECT min(due_at) FROM unnest(CAST(:queues AS text[])) AS q (queue) CROSS JOIN LATERAL (
        SELECT due_at FROM executions WHERE {_WAITING} LIMIT 1) AS due""")  # noqa: S608 - a constant

# Locking first and updating by id afterwards lets the second statement prune partitions.
# A job may have been paused or deleted while its attempt was failing or waited for its turn. Then
# its execution ends here. A job without a row was deleted by hand.
_LOCKED = "id, queue, workspace_id, job_id, trigger"
_WITH_JOB = """
    SELECT due.id, due.queue, due.workspace_id,
           j.status = 'paused' AND due.trigger = 'schedule' AS paused,
           j.id IS NULL OR j.status = 'cancelled' AS deleted
      FROM due LEFT JOIN jobs j ON j.id = due.job_id"""
_UNDISPATCHED = text(f"""
    WITH due AS MATERIALIZED (
        SELECT e.* FROM unnest(CAST(:queues AS text[])) AS q (queue) CROSS JOIN LATERAL (
            SELECT {_LOCKED} FROM executions WHERE {_WAITING} LIMIT :batch
               FOR UPDATE SKIP LOCKED) AS e)
    {_WITH_JOB}""")  # noqa: S608 - constants

# One probe of an index for each workspace and queue. The workspaces come in order, and LIMIT ends
# the search.
_IN_TURN = text(f"""
    WITH turns AS MATERIALIZED (SELECT id FROM workspaces WHERE id > :after ORDER BY id),
    due AS MATERIALIZED (
        SELECT e.* FROM turns CROSS JOIN LATERAL (
            SELECT e.*
              FROM unnest(CAST(:queues AS text[]), CAST(:shares AS int[])) AS q (queue, share)
             CROSS JOIN LATERAL (
                SELECT {_LOCKED} FROM executions
                 WHERE dispatched_at IS NULL AND finished_at IS NULL AND status <> 'running'
                   AND id BETWEEN :since AND :until
                   AND (queue, workspace_id, due_at)
                       >= (q.queue, turns.id, CAST('-infinity' AS timestamptz))
                   AND (queue, workspace_id, due_at)
                       <= (q.queue, turns.id, CAST(:horizon AS timestamptz))
                 ORDER BY queue, workspace_id, due_at LIMIT q.share
                   FOR UPDATE SKIP LOCKED) AS e) AS e
         LIMIT :batch)
    {_WITH_JOB}""")  # noqa: S608 - constants
_DISPATCH = text("""
    UPDATE executions SET status = 'queued', dispatched_at = :now
     WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id, workspace_id, queue, due_at""")


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

    They are the earliest of each queue, at most ``batch``. ``since`` bounds the search to
    occurrences scheduled from then until ``horizon``, a few partitions instead of all: nothing is
    due before it is scheduled.
    """
    search = _search(queues, horizon, since)
    return _of_rows(connection.execute(_UNDISPATCHED, search | {"batch": batch}).all())


def lock_in_turn(
    connection: Connection,
    shares: Mapping[str, int],
    *,
    horizon: datetime,
    batch: int,
    after: UUID,
    since: datetime | None = None,
) -> Undispatched:
    """Lock the earliest such executions of each workspace, at most ``batch``.

    ``shares`` are the most of one workspace, by queue. The workspaces come in the order of their
    ids, from the one that follows ``after``.
    """
    search = _search(list(shares), horizon, since)
    turn = {"shares": list(shares.values()), "batch": batch, "after": after}
    return _of_rows(connection.execute(_IN_TURN, search | turn).all())


def _of_rows(rows: Sequence[Row[Any]]) -> Undispatched:
    return Undispatched(
        waiting=[row.id for row in rows if not row.deleted and not row.paused],
        paused=[row.id for row in rows if row.paused],
        deleted=[row.id for row in rows if row.deleted],
        counts=Counter(row.queue for row in rows),
        last=max((row.workspace_id for row in rows), default=None),
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

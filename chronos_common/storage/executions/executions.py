"""Statements on ``executions``: add, trigger, record and end them.

Each change of a status is a compare-and-set: rows that another process changed first do not come
back. The other statements are in ``undispatched``, ``claims`` (claim, keep, give back),
``skipped`` (occurrences that never ran), ``rescue`` (lost workers and messages) and ``history``
(the API's).

Ids hold their day, so a list of ids, or a bound on them, keeps a statement to the few
partitions that it needs.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common import ids
from chronos_common.domain.executions import Claimed, Moved
from chronos_common.domain.statuses import Reason, Status, Trigger
from chronos_common.storage.postgres import array_adapter

#: The columns that statements return of each execution that they move.
MOVED_COLUMNS: Final = ", ".join(Moved._fields)


class Planned(NamedTuple):
    """A due occurrence to be queued. ``dispatched_at`` is set if it is dispatched at once."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    queue: str
    scheduled_for: datetime
    dispatched_at: datetime | None


# unnest keeps one statement shape however many rows there are, at half the cost of VALUES lists.
# The primary key refuses an occurrence that exists already (a schedule was moved back).
_ADD = text("""
    WITH planned AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:id AS uuid[]), CAST(:workspace_id AS uuid[]),
                             CAST(:job_id AS uuid[]), CAST(:queue AS text[]),
                             CAST(:scheduled_for AS timestamptz[]),
                             CAST(:dispatched_at AS timestamptz[]))
               AS planned (id, workspace_id, job_id, queue, scheduled_for, dispatched_at)),
    added AS (
        INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
                                due_at, dispatched_at, attempt, redeliveries, attempts)
        SELECT id, workspace_id, job_id, 'schedule', 'queued', queue, scheduled_for,
               scheduled_for, dispatched_at, 1, 0, '[]' FROM planned
        ON CONFLICT (id) DO NOTHING
        RETURNING id)
    SELECT id FROM planned WHERE id NOT IN (SELECT id FROM added)""")


def add(connection: Connection, planned: Sequence[Planned]) -> set[UUID]:
    """Queue planned occurrences, and return the ids of those that existed before."""
    if not planned:
        return set()
    return set(connection.execute(_ADD, array_adapter.columns(planned)).scalars())


_TRIGGER = text("""
    INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
                            due_at, attempt, redeliveries, attempts, retry_of)
    SELECT id, :workspace_id, job_id, :trigger, 'queued', queue, :now, :now, 1, 0, '[]', :retry_of
      FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:queues AS text[]))
           AS triggered (id, job_id, queue)""")


def trigger(
    connection: Connection,
    workspace_id: UUID,
    queues: Mapping[UUID, str],
    *,
    now: datetime,
    retry_of: UUID | None = None,
) -> dict[UUID, UUID]:
    """Queue an execution of each job, due now, and return their ids by those of the jobs.

    ``queues`` is by the job's id. The scheduler dispatches the executions.
    """
    triggered = {job_id: ids.trigger_id(now) for job_id in queues}
    connection.execute(
        _TRIGGER,
        {
            "ids": list(triggered.values()),
            "jobs": list(queues),
            "queues": list(queues.values()),
            "workspace_id": workspace_id,
            "trigger": Trigger.RETRY if retry_of else Trigger.MANUAL,
            "now": now,
            "retry_of": retry_of,
        },
    )
    return triggered


class Move(NamedTuple):
    """The change of an execution by a recorded attempt.

    ``due_at`` is set if the execution is tried again. ``attempt_json`` is the attempt for its
    history, in one line.
    """

    claimed: Claimed
    status: Status
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    reason: Reason | None
    due_at: datetime | None
    attempt_json: str


# The fencing token is (worker_id, attempt, redeliveries): a worker that was declared lost and
# comes back finds that its executions have moved on. The list of ids prunes partitions and finds
# each row by its key. ``m.held`` instead of a literal keeps the row estimate at one per id. With a
# literal the planner picks a nested loop over all moves.
# The attempts are one text with a line for each, because JSON in an array literal has every quote
# escaped twice. The result holds the rows that did not move, and the first start of those that
# were tried before. Rows are matched by position, not by id: one batch may hold two outcomes of
# the same execution, from a frozen worker and from its successor.
_RECORD = text("""
    WITH m AS MATERIALIZED (
        SELECT *, 'running' AS held
          FROM unnest(CAST(:ids AS uuid[]), CAST(:workers AS uuid[]),
                      CAST(:attempts AS smallint[]), CAST(:redeliveries AS smallint[]),
                      CAST(:statuses AS text[]), CAST(:started AS timestamptz[]),
                      CAST(:durations AS integer[]), CAST(:http_statuses AS smallint[]),
                      CAST(:errors AS text[]), CAST(:reasons AS text[]),
                      CAST(:due AS timestamptz[]), string_to_array(:jsons, chr(10)))
               WITH ORDINALITY
            AS m (id, worker_id, attempt, redeliveries, status, started_at, duration_ms,
                  http_status, error, reason, due_at, attempt_json, place)),
    moved AS (
        UPDATE executions e
           SET status = m.status,
               finished_at = CASE WHEN m.due_at IS NULL THEN CAST(:now AS timestamptz) END,
               due_at = COALESCE(m.due_at, e.due_at),
               dispatched_at = CASE WHEN m.due_at IS NULL THEN e.dispatched_at END,
               started_at = CASE WHEN e.attempt = 1 THEN m.started_at ELSE e.started_at END,
               attempt = CASE WHEN m.due_at IS NULL THEN e.attempt ELSE e.attempt + 1 END,
               duration_ms = m.duration_ms, http_status = m.http_status,
               error = m.error, reason = m.reason,
               attempts = CAST(CASE WHEN json_array_length(e.attempts) = 0 THEN '['
                                    ELSE left(CAST(e.attempts AS text), -1) || ','
                               END || m.attempt_json || ']' AS json)
          FROM m
         WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.id = m.id AND e.status = m.held
           AND e.worker_id = m.worker_id
           AND e.attempt = m.attempt AND e.redeliveries = m.redeliveries
     RETURNING m.place, e.started_at)
    SELECT m.place, moved.started_at FROM m LEFT JOIN moved ON moved.place = m.place
     WHERE moved.place IS NULL OR m.attempt > 1""")


def record(connection: Connection, moves: Sequence[Move], *, now: datetime) -> list[Moved]:
    """Record finished attempts. Executions that their worker had lost are not returned."""
    if not moves:
        return []
    rows = connection.execute(
        _RECORD,
        {
            "now": now,
            "ids": [move.claimed.id for move in moves],
            "workers": [move.claimed.worker_id for move in moves],
            "attempts": [move.claimed.attempt for move in moves],
            "redeliveries": [move.claimed.redeliveries for move in moves],
            "statuses": [move.status for move in moves],
            "started": [move.started_at for move in moves],
            "durations": [move.duration_ms for move in moves],
            "http_statuses": [move.http_status for move in moves],
            "errors": [move.error for move in moves],
            "reasons": [move.reason for move in moves],
            "due": [move.due_at for move in moves],
            "jsons": "\n".join([move.attempt_json for move in moves]),
        },
    )
    first_starts = {row.place: row.started_at for row in rows}
    after = [
        _after(move, first_starts.get(place, move.started_at))
        for place, move in enumerate(moves, 1)
    ]
    return [each for each in after if each.started_at is not None]


def _after(move: Move, first_start: datetime | None) -> Moved:
    claimed = move.claimed
    return Moved(
        claimed.id,
        claimed.workspace_id,
        claimed.job_id,
        move.status,
        claimed.scheduled_for,
        first_start,
        move.duration_ms,
    )


def moved_from(rows: Iterable[Any]) -> list[Moved]:
    """Return the executions of rows with :data:`MOVED_COLUMNS`."""
    return [Moved(row[0], row[1], row[2], Status(row[3]), *row[4:]) for row in rows]


_END = text(f"""
    UPDATE executions
       SET status = :status, finished_at = :now, error = :error, reason = :reason
     WHERE id = ANY(CAST(:ids AS uuid[])) AND finished_at IS NULL
 RETURNING {MOVED_COLUMNS}""")  # noqa: S608 - a constant


def end(
    connection: Connection,
    identifiers: Sequence[UUID],
    *,
    status: Status,
    reason: Reason,
    error: str | None = None,
    now: datetime,
) -> list[Moved]:
    """End unfinished executions without an attempt."""
    if not identifiers:
        return []
    rows = connection.execute(
        _END,
        {
            "ids": list(identifiers),
            "status": status,
            "reason": reason,
            "error": error,
            "now": now,
        },
    )
    return moved_from(rows)

"""The statements on ``replays``: bulk retries of past executions, at a rate.

A scheduler locks a replay that is due, creates some executions, and moves its cursor in the same
transaction. So whenever it dies, each source is taken once. Beside that, an execution's id follows
from the replay and its source, and the primary key refuses a second one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from chronos_common import ids
from chronos_common.clock import MILLISECOND
from chronos_common.domain.statuses import Reason, Status, Trigger
from chronos_common.storage import pages
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.recovery import Selection
from chronos_common.storage.postgres import array_adapter
from chronos_common.storage.tables import replays


class ReplayState(StrEnum):
    """Whether a replay goes on."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


#: The states of a replay that may still create executions.
OPEN = (ReplayState.RUNNING, ReplayState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReplay:
    """A replay to be stored."""

    selection: Selection
    matched: int
    matched_is_exact: bool
    rate_per_second: float
    oldest_first: bool
    note: str | None


def add(
    connection: Connection,
    workspace_id: UUID,
    new: NewReplay,
    *,
    created_by: UUID,
    now: datetime,
) -> UUID:
    """Store a replay, which begins at once, and return its id."""
    identifier = ids.new_id(now)
    selected = new.selection.ids
    connection.execute(
        insert(replays).values(
            id=identifier,
            workspace_id=workspace_id,
            created_by=created_by,
            created_at=now,
            ids=None if selected is None else list(selected),
            filter=_written(new.selection.filters),
            as_of=new.selection.as_of,
            note=new.note,
            rate_per_second=new.rate_per_second,
            oldest_first=new.oldest_first,
            matched=new.matched,
            matched_is_exact=new.matched_is_exact,
            created=0,
            refused=0,
            state=ReplayState.RUNNING,
            next_at=now,
            resumed_at=now,
            updated_at=now,
        )
    )
    return identifier


def _written(filters: HistoryFilter) -> dict[str, Any]:
    """Return the conditions that are set, as JSON has them."""
    values = {each.name: getattr(filters, each.name) for each in fields(filters)}
    given = {name: value for name, value in values.items() if value is not None}
    written: dict[str, Any] = json.loads(json.dumps(given, default=_text))
    return written


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_MOMENTS = ("since", "until", "as_of")


def _read(written: Mapping[str, Any]) -> HistoryFilter:
    """Return the conditions that :func:`_written` has stored."""
    values: dict[str, Any] = dict(written)
    for name in _MOMENTS:
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    if "statuses" in values:
        values["statuses"] = tuple(map(Status, values["statuses"]))
    if "http_statuses" in values:
        values["http_statuses"] = tuple(values["http_statuses"])
    for name, kind in (("trigger", Trigger), ("reason", Reason), ("job_id", UUID)):
        if name in values:
            values[name] = kind(values[name])
    return HistoryFilter(**values)


def selection_of(row: RowMapping) -> Selection:
    """Return the executions that a replay is about."""
    chosen = None if row["ids"] is None else tuple(row["ids"])
    return Selection(filters=_read(row["filter"]), as_of=row["as_of"], ids=chosen)


_LOCK_WORKSPACE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_COUNT_OPEN = text("""
    SELECT count(*) FROM replays
     WHERE workspace_id = :workspace_id AND state IN ('running', 'paused')""")


def count_open(connection: Connection, workspace_id: UUID) -> int:
    """Return how many replays are not over. Others who count wait for this transaction."""
    connection.execute(_LOCK_WORKSPACE, {"name": f"replays:{workspace_id}"})
    number: int = connection.execute(_COUNT_OPEN, {"workspace_id": workspace_id}).scalar_one()
    return number


def find(
    connection: Connection, workspace_id: UUID, replay_id: UUID, *, lock: bool = False
) -> RowMapping | None:
    """Return a replay of the workspace, or None."""
    query = select(replays).where(
        replays.c.id == replay_id, replays.c.workspace_id == workspace_id
    )
    if lock:
        query = query.with_for_update()
    return connection.execute(query).mappings().one_or_none()


def page(
    connection: Connection, workspace_id: UUID, *, after: UUID | None, offset: int, limit: int
) -> tuple[Sequence[RowMapping], int]:
    """Return some replays of the workspace, the latest first, and their number."""
    query = select(replays).where(replays.c.workspace_id == workspace_id)
    return pages.page(connection, query, replays.c.id, after=after, offset=offset, limit=limit)


def move(
    connection: Connection,
    replay_id: UUID,
    state: ReplayState,
    *,
    now: datetime,
    because: str | None = None,
) -> None:
    """Change the state of a locked replay. ``because`` says why Chronos stopped it by itself.

    Of a replay that goes on, only the executions from now on decide whether it fails.
    """
    is_over = state not in OPEN
    resumed = {"resumed_at": now} if state is ReplayState.RUNNING else {}
    connection.execute(
        update(replays)
        .where(replays.c.id == replay_id)
        .values(
            state=state,
            stopped_because=because,
            next_at=now,
            updated_at=now,
            finished_at=now if is_over else None,
            **resumed,
        )
    )


_NEXT_DUE = text("SELECT min(next_at) FROM replays WHERE state = 'running'")


def next_due(connection: Connection) -> datetime | None:
    """Return when the next running replay goes on, or None."""
    due: datetime | None = connection.execute(_NEXT_DUE).scalar_one()
    return due


# SKIP LOCKED lets schedulers share the replays. Those of a deleted workspace rest.
_CLAIM = text("""
    SELECT r.* FROM replays r
     WHERE r.state = 'running' AND r.next_at <= :now
       AND EXISTS (SELECT FROM workspaces w WHERE w.id = r.workspace_id AND w.purge_at IS NULL)
     ORDER BY r.next_at LIMIT 1
       FOR UPDATE OF r SKIP LOCKED""")


def claim(connection: Connection, *, now: datetime) -> RowMapping | None:
    """Lock the replay that is due first, and return it. None if none is due."""
    return connection.execute(_CLAIM, {"now": now}).mappings().one_or_none()


_ADVANCE = text("""
    UPDATE replays SET cursor = :cursor, created = created + :created,
                       refused = refused + :refused, next_at = :next_at, updated_at = :now
     WHERE id = :id""")


def advance(
    connection: Connection,
    replay_id: UUID,
    *,
    cursor: UUID | None,
    created: int,
    refused: int,
    next_at: datetime,
    now: datetime,
) -> None:
    """Store how far a locked replay has come, and when it goes on."""
    connection.execute(
        _ADVANCE,
        {
            "id": replay_id,
            "cursor": cursor,
            "created": created,
            "refused": refused,
            "next_at": next_at,
            "now": now,
        },
    )


class Repeated(NamedTuple):
    """An execution of a replay to be queued. ``retry_of`` is its source."""

    id: UUID
    job_id: UUID
    queue: str
    due_at: datetime
    retry_of: UUID
    logical_for: datetime


_QUEUE = text("""
    INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
                            due_at, attempt, redeliveries, attempts, retry_of, replay_id,
                            logical_for)
    SELECT id, :workspace_id, job_id, 'retry', 'queued', queue, due_at, due_at, 1, 0, '[]',
           retry_of, :replay_id, logical_for
      FROM unnest(CAST(:id AS uuid[]), CAST(:job_id AS uuid[]), CAST(:queue AS text[]),
                  CAST(:due_at AS timestamptz[]), CAST(:retry_of AS uuid[]),
                  CAST(:logical_for AS timestamptz[]))
           AS r (id, job_id, queue, due_at, retry_of, logical_for)
    ON CONFLICT (id) DO NOTHING""")


def queue(
    connection: Connection, workspace_id: UUID, replay_id: UUID, repeated: Sequence[Repeated]
) -> None:
    """Queue executions of a replay. The scheduler dispatches them when they are due."""
    if repeated:
        parameters = array_adapter.columns(repeated)
        connection.execute(
            _QUEUE, {**parameters, "workspace_id": workspace_id, "replay_id": replay_id}
        )


# Jobs cannot be changed or deleted until the transaction ends, so that none of its executions
# outlives its job. FOR SHARE lets several replays of a job go on side by side.
_JOBS = text("""
    SELECT id, type, overlap_policy FROM jobs
     WHERE id = ANY(CAST(:ids AS uuid[])) AND deleted_at IS NULL
     ORDER BY id FOR SHARE""")


def lock_jobs(connection: Connection, job_ids: Sequence[UUID]) -> Mapping[UUID, RowMapping]:
    """Return those of the jobs that exist, locked against changes, by their ids."""
    rows = connection.execute(_JOBS, {"ids": list(job_ids)}).mappings()
    return {row["id"]: row for row in rows}


_BUSY = text("""
    SELECT DISTINCT job_id FROM executions
     WHERE job_id = ANY(CAST(:ids AS uuid[])) AND finished_at IS NULL""")


def busy_jobs(connection: Connection, job_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the jobs that have an unfinished execution."""
    if not job_ids:
        return set()
    return set(connection.execute(_BUSY, {"ids": list(job_ids)}).scalars())


#: Executions of a replay that are looked at to see how it goes.
MAX_LATEST = 10_000

# All executions of a replay have ids of one millisecond, which is in one partition.
_OUTCOMES = text("""
    SELECT status, count(*) AS executions
      FROM (SELECT status FROM executions
             WHERE replay_id = :replay_id AND id >= :lowest AND id < :highest
             ORDER BY scheduled_for DESC LIMIT :most) AS latest
     GROUP BY status""")


def outcomes(connection: Connection, row: RowMapping) -> dict[str, int]:
    """Return the number of a replay's latest executions by status."""
    found = connection.execute(_OUTCOMES, _bounds(row) | {"most": MAX_LATEST})
    return {each.status: each.executions for each in found}


_FAILING = text("""
    SELECT count(*) FROM (
        SELECT status FROM (
            SELECT status, attempt, scheduled_for FROM executions
             WHERE replay_id = :replay_id AND id >= :lowest AND id < :highest
               AND scheduled_for >= :resumed_at AND scheduled_for <= :now
             ORDER BY scheduled_for DESC LIMIT 1000) AS latest
         WHERE status IN ('succeeded', 'failed', 'cancelled', 'skipped', 'retrying')
         ORDER BY scheduled_for DESC LIMIT :most) AS tried
     WHERE status IN ('failed', 'retrying')""")


def count_failing(connection: Connection, row: RowMapping, *, most: int, now: datetime) -> int:
    """Return how many of the latest ``most`` executions that were tried have failed so far."""
    found = connection.execute(
        _FAILING, _bounds(row) | {"most": most, "now": now, "resumed_at": row["resumed_at"]}
    )
    number: int = found.scalar_one()
    return number


def _bounds(row: RowMapping) -> dict[str, Any]:
    return {
        "replay_id": row["id"],
        "lowest": ids.lowest_at(row["as_of"]),
        "highest": ids.lowest_at(row["as_of"] + MILLISECOND),
    }


_PRUNE = text("DELETE FROM replays WHERE finished_at < :before")


def prune(connection: Connection, *, before: datetime) -> None:
    """Remove replays that were over before ``before``."""
    connection.execute(_PRUNE, {"before": before})

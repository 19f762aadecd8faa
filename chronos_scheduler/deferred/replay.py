"""Replay: run past executions again, at the rate that a user has chosen.

1. Lock a replay that is due. Another scheduler skips it.
2. Look at whether its latest executions fail. If most do, pause it, and write the audit log.
3. Read the next sources behind its cursor, and lock their jobs. A deleted job's are refused.
4. Queue an execution for each of the others, mark the sources as replayed, and move the cursor, in
   the same transaction. A scheduler that dies before the commit has created nothing.
5. The replay is due again when the rate allows it.

A job that does not allow overlaps gets its next execution after the one before has ended. The walk
waits for it, so that the order stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine, RowMapping

from chronos_common import clock, failpoints, ids, metrics
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import Resolution
from chronos_common.storage import audit, replays
from chronos_common.storage.executions import recovery
from chronos_common.storage.postgres.database import reading, transaction
from chronos_common.storage.replays import Repeated, ReplayState

_log = structlog.get_logger(__name__)

#: Time for which one batch creates executions.
SPAN = timedelta(seconds=0.5)

#: Executions of one batch.
BATCH = 500

#: Executions that one replay makes at most.
MAX_CREATED = 1_000_000

#: The latest tried executions that decide about going on. More than half of so many stop it.
CONSIDERED = 50

#: Rest of a replay whose next job is still running.
BUSY_REST = timedelta(seconds=1)

#: A replay that was held up does not make up for more than this.
MAX_BEHIND = timedelta(seconds=1)


@dataclass(slots=True)
class _ReplayBatch:
    """The next executions of a replay, and where the walk stands after them."""

    repeated: list[Repeated] = field(default_factory=list)
    resolved: list[UUID] = field(default_factory=list)
    refused: int = 0
    cursor: UUID | None = None
    is_blocked: bool = False


class Replayer:
    """Carries on with one replay at each tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: When the next replay goes on, at the last tick.
        self.next_due: datetime | None = None

    def tick(self) -> bool:
        """Create the next executions of a replay. Return whether another may be due."""
        now = clock.now()
        with reading(self._engine) as connection:
            self.next_due = replays.next_due(connection)
        if self.next_due is None or self.next_due > now:
            return False
        with transaction(self._engine) as connection:
            row = replays.claim(connection, now=now)
            if row is None:
                # Another scheduler has it, or its workspace is deleted.
                self.next_due = None
                return False
            _go_on(connection, row, now=now)
            failpoints.hit("replay.created")
        failpoints.hit("replay.committed")
        return True


def _go_on(connection: Connection, row: RowMapping, *, now: datetime) -> None:
    failing = replays.count_failing(connection, row, most=CONSIDERED, now=now)
    if failing > CONSIDERED // 2:
        _stop(connection, row, failing, now=now)
        return
    limit = min(max(int(row["rate_per_second"] * SPAN.total_seconds()), 1), BATCH)
    part = recovery.chunk(
        connection,
        row["workspace_id"],
        replays.selection_of(row),
        behind=row["cursor"],
        oldest_first=row["oldest_first"],
        limit=min(limit, MAX_CREATED - row["created"]),
    )
    batch = _batch(connection, row, part.rows, now=now)
    replays.queue(connection, row["workspace_id"], row["id"], batch.repeated)
    recovery.resolve(
        connection,
        row["workspace_id"],
        batch.resolved,
        Resolution.REPLAYED,
        by=row["created_by"],
        now=now,
    )
    created = len(batch.repeated)
    cursor = batch.cursor if batch.is_blocked else part.last or batch.cursor
    replays.advance(
        connection,
        row["id"],
        cursor=cursor or row["cursor"],
        created=created,
        refused=batch.refused,
        next_at=_next_at(row, batch, now=now),
        now=now,
    )
    metrics.REPLAYED.inc(created)
    is_over = part.last is None and not batch.is_blocked
    if is_over or row["created"] + created >= MAX_CREATED:
        because = None if is_over else f"It has made {MAX_CREATED:,} executions."
        replays.move(connection, row["id"], ReplayState.DONE, now=now, because=because)


def _batch(
    connection: Connection, row: RowMapping, sources: Sequence[RowMapping], *, now: datetime
) -> _ReplayBatch:
    """Return the executions that repeat ``sources``, which come in the order of the walk."""
    jobs = replays.lock_jobs(connection, list({source["job_id"] for source in sources}))
    exclusive = [job_id for job_id, job in jobs.items() if not _may_overlap(job)]
    busy = replays.busy_jobs(connection, exclusive)
    batch = _ReplayBatch()
    for source in sources:
        job = jobs.get(source["job_id"])
        if job is None:
            batch.refused += 1
        elif job["id"] in busy:
            batch.is_blocked = True
            break
        else:
            if not _may_overlap(job):
                busy.add(job["id"])
            after = timedelta(seconds=len(batch.repeated) / row["rate_per_second"])
            batch.repeated.append(_repeated(row, source, job, due_at=now + after))
            # A replay of a replay resolves the first source, too.
            batch.resolved += [source["id"], *([source["retry_of"]] if source["retry_of"] else [])]
        batch.cursor = source["id"]
    return batch


def _may_overlap(job: RowMapping) -> bool:
    return bool(job["overlap_policy"] == OverlapPolicy.ALLOW)


def _repeated(
    row: RowMapping, source: RowMapping, job: RowMapping, *, due_at: datetime
) -> Repeated:
    return Repeated(
        id=ids.replay_id(row["id"], source["id"], row["as_of"]),
        job_id=job["id"],
        queue=QUEUE_OF[job["type"]],
        due_at=due_at,
        retry_of=source["id"],
        logical_for=source["logical_for"] or source["scheduled_for"],
    )


def _next_at(row: RowMapping, batch: _ReplayBatch, *, now: datetime) -> datetime:
    """Return when the rate allows the next execution."""
    taken = timedelta(seconds=len(batch.repeated) / row["rate_per_second"])
    at: datetime = max(row["next_at"], now - MAX_BEHIND) + taken
    return max(at, now + BUSY_REST) if batch.is_blocked else at


def _stop(connection: Connection, row: RowMapping, failing: int, *, now: datetime) -> None:
    """Pause a replay whose executions fail, and write down why."""
    because = f"{failing} of its latest {CONSIDERED} executions failed; see why, and resume it."
    replays.move(connection, row["id"], ReplayState.PAUSED, now=now, because=because)
    audit.append_automatic(
        connection,
        action="replay.stop",
        subject_type="replay",
        details={(row["workspace_id"], row["id"]): {"reason": because}},
        now=now,
    )
    _log.warning("replay stopped", replay_id=str(row["id"]), failing=failing)

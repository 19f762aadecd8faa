"""The recorder: collects finished attempts for a moment and writes them in one transaction.

1. Decide what follows each outcome (pure; see ``domain.outcomes``).
2. Move the executions; those that were taken from this worker meanwhile do not come back.
3. Count what moved, and queue a notification for each final failure, in the same transaction.

While the database is away it keeps what it has and tries again: an outcome is never dropped.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from time import monotonic
from typing import NamedTuple

import orjson
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.attempts import MAX_ERROR_LENGTH, Attempt
from chronos_common.domain.executions import Claimed
from chronos_common.domain.jobs import MAX_DELAY_SECONDS
from chronos_common.domain.outcomes import (
    Failed,
    Finish,
    Outcome,
    Redeliver,
    Retry,
    Step,
    next_step,
)
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions import executions, statistics
from chronos_common.storage.executions.executions import Move, Moved
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.postgres.database import is_outage, transaction

_log = structlog.get_logger(__name__)

#: For how long outcomes are gathered, and while requests are late; how often that is looked at.
GATHER_SECONDS = 0.1
LONGEST_GATHER_SECONDS = 0.5
LOOK_SECONDS = 0.02

MAX_BATCH = 500
MAX_BACKLOG = 20_000
LONGEST_PAUSE_SECONDS = 2.0

#: Twice the longest delay that a job may ask for: its jitter may double it.
LONGEST_DELAY = timedelta(seconds=2 * MAX_DELAY_SECONDS)


class Finished(NamedTuple):
    """An attempt that ended: whose, how, and by which policy it goes on."""

    claimed: Claimed
    queue: str
    policy: RetryPolicy
    outcome: Outcome
    attempt: Attempt


class Recorder:
    """Writes finished attempts, in a thread of its own."""

    def __init__(self, engine: Engine, *, is_late: Callable[[], bool] = lambda: False) -> None:
        """Take where to write; nothing is written before :meth:`start`.

        ``is_late`` tells that requests are due which have not left. Recording waits for them a
        while, for it takes the processor from sending.
        """
        self._engine = engine
        self._is_late = is_late
        self._is_caught_up = True
        self._finished: SimpleQueue[Finished | None] = SimpleQueue()  # None ends a wait
        self._changed = Condition()
        self._backlog = 0
        self._stop = Event()
        self._moved_at = monotonic()
        self._thread = Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, finished: Finished) -> None:
        """Take a finished attempt; never waits."""
        with self._changed:
            self._moved_at = self._moved_at if self._backlog else monotonic()  # it rested
            self._backlog += 1
        self._finished.put(finished)

    @property
    def backlog(self) -> int:
        """How many attempts wait to be written."""
        return self._backlog

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was written although something waits; 0 if nothing does."""
        return monotonic() - self._moved_at if self._backlog else 0.0

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until the backlog is within its bound; False if it is not within ``timeout``."""
        return self._wait_until_at_most(MAX_BACKLOG, timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until all is written; False if it is not within ``timeout`` seconds."""
        return self._wait_until_at_most(0, timeout)

    def stop(self) -> None:
        """End the thread; what was not flushed before is left to rescue."""
        self._stop.set()
        self._finished.put(None)
        self._thread.join(timeout=LONGEST_PAUSE_SECONDS + 1)

    def _wait_until_at_most(self, backlog: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._backlog <= backlog, timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            if batch := self._gather():
                self._write_at_last(batch)
                self._forget(len(batch))

    def _gather(self) -> list[Finished]:
        """Wait for an attempt, then a moment for others to join it, unless they wait already."""
        self._moved_at = monotonic()
        if (first := self._finished.get()) is None:
            return []
        batch = [first]
        if self._is_caught_up:
            # Asleep, so that those who put need not wake this thread for each attempt.
            ends = monotonic() + LONGEST_GATHER_SECONDS
            self._stop.wait(GATHER_SECONDS)
            while self._is_late() and monotonic() < ends and not self._stop.wait(LOOK_SECONDS):
                pass
        with suppress(Empty):
            while len(batch) < MAX_BATCH and (another := self._finished.get_nowait()):
                batch.append(another)
        self._is_caught_up = len(batch) < MAX_BATCH
        return batch

    def _forget(self, count: int) -> None:
        with self._changed:
            self._backlog -= count
            self._changed.notify_all()
        metrics.RECORDER_BACKLOG.set(self._backlog)

    def _write_at_last(self, batch: Sequence[Finished]) -> None:
        """Write the batch, however long the database is away."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._write_divided(batch)
            except SQLAlchemyError:
                failures += 1
                _log.warning("cannot record", outcomes=len(batch), exc_info=failures == 1)
                self._stop.wait(_pause_after(failures))
            else:
                return

    def _write_divided(self, batch: Sequence[Finished]) -> None:
        """Write the batch; what cannot be stored must not keep the rest from it."""
        try:
            self._write(batch)
        except Exception as error:
            if _may_pass(error):
                raise
            if len(batch) == 1:
                self._write_less(batch[0], error)
                return
            middle = len(batch) // 2
            self._write_divided(batch[:middle])
            self._write_divided(batch[middle:])

    def _write_less(self, finished: Finished, error: Exception) -> None:
        """Write what can be stored of an outcome that was refused; if nothing can, say so."""
        execution_id = str(finished.claimed.id)
        for less in (_without_answer(finished), _unrecordable(finished)):
            _log.error("outcome refused", execution_id=execution_id, exc_info=error)
            try:
                self._write([less])
            except Exception as another:
                if _may_pass(another):
                    raise
                error = another
            else:
                return
        _log.error("outcome lost", execution_id=execution_id, exc_info=error)

    def _write(self, batch: Sequence[Finished]) -> None:
        failpoints.reached("record.begins")
        now = clock.now()
        moves = [_move(finished) for finished in batch]
        with metrics.RECORD_SECONDS.time(), transaction(self._engine) as connection:
            moved = executions.record(connection, moves, now=now)
            statistics.add(connection, moved, now=now)
            failed = [each for each in moved if each.status is Status.FAILED]
            failure_emails.enqueue(connection, failed, now=now)
        failpoints.reached("record.committed")
        _count(batch, moved)


def _may_pass(error: Exception) -> bool:
    """Tell whether ``error`` is the database's absence, which an outcome must wait for."""
    if isinstance(error, DBAPIError):
        return is_outage(error)
    return isinstance(error, SQLAlchemyError)


def _pause_after(failures: int) -> float:
    """Return seconds to wait; workers that lost the same database must not come back in step."""
    longest: float = min(0.1 * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - not a secret


def _move(finished: Finished) -> Move:
    """Turn an outcome into what becomes of its execution."""
    claimed, attempt = finished.claimed, finished.attempt
    match _step(finished):
        case Finish(status=status, error=error, reason=reason):
            due_at = None
        case Retry(delay=delay, error=error):
            ended_at = attempt.started_at + timedelta(milliseconds=attempt.duration_ms)
            status, reason, due_at = Status.RETRYING, None, ended_at + delay
        case Redeliver():
            raise AssertionError("a worker does not report itself as lost")
    return Move(
        claimed=claimed,
        status=status,
        started_at=attempt.started_at,
        duration_ms=attempt.duration_ms,
        http_status=attempt.http_status,
        error=error and error[:MAX_ERROR_LENGTH],
        reason=reason,
        due_at=due_at,
        attempt_json=_as_json(finished, status, error, due_at),
    )


def _step(finished: Finished) -> Step:
    """Decide what follows; a stored policy that leads nowhere ends the execution."""
    try:
        step = next_step(
            finished.outcome,
            attempt=finished.claimed.attempt,
            redeliveries=finished.claimed.redeliveries,
            policy=finished.policy,
            jitter=random.random(),  # noqa: S311 - not a secret
        )
        if isinstance(step, Retry) and step.delay > LONGEST_DELAY:
            raise OverflowError("its delay is too long")
    except (ArithmeticError, TypeError, ValueError) as error:
        text = f"The stored retry policy cannot be followed: {error}."
        if isinstance(finished.outcome, Failed):
            text = f"{finished.outcome.error} {text}"
        return Finish(Status.FAILED, text, Reason.INVALID)
    return step


def _as_json(
    finished: Finished, status: Status, error: str | None, due_at: datetime | None
) -> str:
    attempt = finished.attempt
    history = {
        "number": finished.claimed.attempt,
        "started_at": clock.rfc3339(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status": status,
        "http_status": attempt.http_status,
        "error": error and error[:MAX_ERROR_LENGTH],
        "retry_at": clock.rfc3339(due_at) if due_at else None,
        "worker": finished.claimed.worker_id,
        "redeliveries": finished.claimed.redeliveries,
        "request": attempt.request,
        "response": attempt.response,
        "timing_ms": attempt.timing_ms,
    }
    # The standard library's json takes as long for this as PostgreSQL for the whole row.
    given = {name: value for name, value in history.items() if value is not None}
    return orjson.dumps(given).decode()


def _without_answer(finished: Finished) -> Finished:
    """Leave out what the target sent: something in it cannot be stored."""
    attempt = finished.attempt._replace(request=None, response=None, timing_ms=None)
    return finished._replace(attempt=attempt)


def _unrecordable(finished: Finished) -> Finished:
    """Leave out everything that came from elsewhere; a failure at least is said."""
    now = clock.now()
    return finished._replace(
        outcome=Failed("How the attempt ended could not be stored; see the log.", permanent=True),
        attempt=Attempt(started_at=now, duration_ms=0),
    )


def _count(batch: Sequence[Finished], moved: Sequence[Moved]) -> None:
    for status, count in Counter(each.status for each in moved).items():
        metrics.EXECUTIONS.labels(status).inc(count)
    metrics.SUPERSEDED.inc(len(batch) - len(moved))
    start_drift = metrics.DRIFT_SECONDS.labels("start")
    durations = {
        queue: metrics.DURATION_SECONDS.labels(queue)
        for queue in {finished.queue for finished in batch}
    }
    for finished in batch:
        claimed, attempt = finished.claimed, finished.attempt
        durations[finished.queue].observe(attempt.duration_ms / 1000)
        if claimed.attempt == 1 and claimed.redeliveries == 0:
            start_drift.observe((attempt.started_at - claimed.scheduled_for).total_seconds())

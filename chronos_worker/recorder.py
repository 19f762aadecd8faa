"""The recorder: gathers finished attempts for a moment and writes them in one transaction.

1. Decide how each execution goes on (a pure function, see ``domain.outcomes``). Those that could
   not be attempted go back.
2. Move the executions. Those that this worker has lost to another one do not move.
3. Write the consequences of the executions that moved, in the same transaction.

While the database is away, outcomes are kept and written later. An outcome that cannot be stored
never keeps the others from being written, and neither does a consequence that fails on one
execution.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from time import monotonic

import orjson
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.executions import MAX_ERROR_LENGTH, Attempt, Moved
from chronos_common.domain.jobs import MAX_DELAY_SECONDS
from chronos_common.domain.outcomes import (
    POSTPONED_BY,
    Failed,
    Finish,
    NotAttempted,
    Postpone,
    Redeliver,
    Retry,
    Step,
    next_step,
)
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.consequences import CONSEQUENCES, Consequence, write
from chronos_common.storage.executions import claims, executions
from chronos_common.storage.executions.executions import Move
from chronos_common.storage.postgres.database import is_outage, transaction
from chronos_worker.attempts import Finished
from chronos_worker.kept_answers import KeptAnswers

_log = structlog.get_logger(__name__)

#: Batch window.
GATHER_SECONDS = 0.1
#: Batch window while the sender is behind.
LONGEST_GATHER_SECONDS = 0.5
#: How often to check whether the sender is still behind.
LOOK_SECONDS = 0.02

#: Outcomes of one transaction.
MAX_BATCH = 500
#: Outcomes that may wait. Beyond this number nothing new is claimed.
MAX_BACKLOG = 20_000
#: The longest pause between two tries while the database is away.
LONGEST_PAUSE_SECONDS = 2.0

#: Twice the longest delay that a job may ask for: its jitter may double it.
LONGEST_DELAY = timedelta(seconds=2 * MAX_DELAY_SECONDS)


class Recorder:
    """Writes finished attempts, in a thread of its own.

    ``is_late`` returns whether requests are due that have not left. Recording then waits a
    moment, because it competes with sending for the processor.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        consequences: Sequence[Consequence] = CONSEQUENCES,
        is_late: Callable[[], bool] = lambda: False,
        answers: KeptAnswers | None = None,
    ) -> None:
        self._engine = engine
        self._consequences = consequences
        self._is_late = is_late
        self._answers = answers or KeptAnswers()
        self._is_caught_up = True
        self._finished: SimpleQueue[Finished | None] = SimpleQueue()  # None ends a wait
        self._changed = Condition()
        self._backlog = 0
        self._stop = Event()
        self._progress_at = monotonic()
        self._thread = Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Start the recorder's thread."""
        self._thread.start()

    def put(self, finished: Finished) -> None:
        """Queue a finished attempt, without waiting. Its answer is cut if there is no room."""
        now = clock.now()
        with self._changed:
            finished = self._answers.fit(finished, now=now)
            self._progress_at = self._progress_at if self._backlog else monotonic()  # it was idle
            self._backlog += 1
        self._finished.put(finished)

    @property
    def backlog(self) -> int:
        """The number of attempts that wait to be written."""
        return self._backlog

    @property
    def silent_seconds(self) -> float:
        """Seconds without a write although attempts wait, or 0 if none wait."""
        return monotonic() - self._progress_at if self._backlog else 0.0

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until the backlog is within its bound, or return False after ``timeout``."""
        return self._wait_until_at_most(MAX_BACKLOG, timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until all attempts are written, or return False after ``timeout`` seconds."""
        return self._wait_until_at_most(0, timeout)

    def stop(self) -> None:
        """End the thread. Attempts that were not flushed before are left to rescue."""
        self._stop.set()
        self._finished.put(None)
        self._thread.join(timeout=LONGEST_PAUSE_SECONDS + 1)

    def _wait_until_at_most(self, backlog: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._backlog <= backlog, timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            if batch := self._gather():
                self._write_persistently(batch)
                self._forget(batch)

    def _gather(self) -> list[Finished]:
        """Wait for an attempt, and then for the batch window, unless a backlog waits already."""
        self._progress_at = monotonic()
        if (first := self._finished.get()) is None:
            return []
        batch = [first]
        if self._is_caught_up:
            # Sleeping, so that put() need not wake this thread for each attempt.
            ends = monotonic() + LONGEST_GATHER_SECONDS
            self._stop.wait(GATHER_SECONDS)
            while self._is_late() and monotonic() < ends and not self._stop.wait(LOOK_SECONDS):
                pass
        with suppress(Empty):
            while len(batch) < MAX_BATCH and (another := self._finished.get_nowait()):
                batch.append(another)
        self._is_caught_up = len(batch) < MAX_BATCH
        return batch

    def _forget(self, batch: Sequence[Finished]) -> None:
        with self._changed:
            self._backlog -= len(batch)
            self._answers.release(batch)
            self._changed.notify_all()
        metrics.RECORDER_BACKLOG.set(self._backlog)

    def _write_persistently(self, batch: Sequence[Finished]) -> None:
        """Write the batch. Try again for as long as the database is away."""
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
        """Write the batch, or its halves if something in it cannot be stored."""
        try:
            self._write(batch, self._consequences)
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
        """Write as much as can be stored of an outcome that was refused.

        1. Without the target's answer.
        2. As a failure, without any text of others.
        3. Whole, but without the consequences: one of them may be at fault.
        """
        execution_id = str(finished.claimed.id)
        for less, consequences in (
            (_without_answer(finished), self._consequences),
            (_unrecordable(finished), self._consequences),
            (finished, ()),
        ):
            _log.error("outcome refused", execution_id=execution_id, exc_info=error)
            try:
                self._write([less], consequences)
            except Exception as another:
                if _may_pass(another):
                    raise
                error = another
            else:
                if not consequences:
                    _log.error("consequences left out", execution_id=execution_id)
                return
        _log.error("outcome lost", execution_id=execution_id, exc_info=error)

    def _write(self, batch: Sequence[Finished], consequences: Sequence[Consequence]) -> None:
        failpoints.hit("record.begins")
        now = clock.now()
        steps = [(each, _step(each)) for each in batch]
        postponed = [each for each, step in steps if isinstance(step, Postpone)]
        attempted = [(each, step) for each, step in steps if not isinstance(step, Postpone)]
        moves = [_move(each, step) for each, step in attempted]
        with metrics.RECORD_SECONDS.time(), transaction(self._engine) as connection:
            _postpone(connection, postponed, now=now)
            moved = executions.record(connection, moves, now=now)
            write(connection, moved, now=now, consequences=consequences)
        failpoints.hit("record.committed")
        _count([each for each, _ in attempted], moved)
        _report(postponed)


def _may_pass(error: Exception) -> bool:
    """Return whether the database is away, so that the outcome can be stored later."""
    if isinstance(error, DBAPIError):
        return is_outage(error)
    return isinstance(error, SQLAlchemyError)


def _pause_after(failures: int) -> float:
    """Return seconds to wait, at random: workers that lost the same database come back spread."""
    longest: float = min(0.1 * 2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - not a secret


def _move(finished: Finished, step: Finish | Retry | Redeliver) -> Move:
    """Return the move of the execution whose attempt finished."""
    claimed, attempt = finished.claimed, finished.attempt
    match step:
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
    """Decide how the execution goes on. A policy that cannot be followed ends it."""
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
    """Return the attempt for the history of its execution. Fields without a value are left out."""
    claimed, attempt = finished.claimed, finished.attempt
    fields = {
        "number": claimed.attempt,
        "started_at": clock.rfc3339(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "status": status,
        "http_status": attempt.http_status,
        "error": error and error[:MAX_ERROR_LENGTH],
        "retry_at": clock.rfc3339(due_at) if due_at else None,
        "worker": claimed.worker_id,
        "job_version": finished.job_version,
        "redeliveries": claimed.redeliveries,
        "request": attempt.request,
        "response": attempt.response,
        "timing_ms": attempt.timing_ms,
    }
    # The standard library's json takes as long for this as PostgreSQL for the whole row.
    given = {name: value for name, value in fields.items() if value is not None}
    return orjson.dumps(given).decode()


def _without_answer(finished: Finished) -> Finished:
    """Return the outcome without the target's answer, which may hold unstorable text."""
    attempt = finished.attempt._replace(request=None, response=None, timing_ms=None)
    return finished._replace(attempt=attempt)


def _unrecordable(finished: Finished) -> Finished:
    """Return a failure in place of the outcome, without any text of others."""
    now = clock.now()
    return finished._replace(
        outcome=Failed("How the attempt ended could not be stored; see the log.", permanent=True),
        attempt=Attempt(started_at=now, duration_ms=0),
    )


def _postpone(connection: Connection, postponed: Sequence[Finished], *, now: datetime) -> None:
    """Give back executions that could not be attempted, for a moment in which they can be."""
    claimed = [each.claimed for each in postponed]
    claims.postpone(connection, claimed, due_at=now + POSTPONED_BY)


def _report(postponed: Sequence[Finished]) -> None:
    outcomes = [each.outcome for each in postponed]
    reasons = {each.error for each in outcomes if isinstance(each, NotAttempted)}
    if reasons:
        _log.warning("not attempted", executions=len(outcomes), lacking=sorted(reasons))
    for queue, count in Counter(each.queue for each in postponed).items():
        metrics.NOT_ATTEMPTED.labels(queue).inc(count)


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

"""Rescue: put back executions of lost workers and of lost messages.

- Workers without a heartbeat for ``worker_timeout`` are declared lost. Their running executions go
  back to queued, or fail once they were handed out too often. While the database was away, or took
  no changes, no worker could renew its heartbeat. So no worker is declared lost until this process
  itself has renewed its own in time for ``worker_timeout``.
- Queued executions that are well past due although their message has left the queue are
  dispatched again. Whether it has left is exact: each list of a queue is first in, first out, so
  a message older than the oldest one in both is gone.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints, metrics
from chronos_common.broker import Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.storage import workers
from chronos_common.storage.executions import rescue, undispatched
from chronos_common.storage.postgres.database import reading, transaction
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.redeliver import redeliver

_log = structlog.get_logger(__name__)

BATCH = 1000

#: Longer than any healthy worker needs from message to claim.
CLAIM_GRACE = timedelta(seconds=5)


class Rescuer:
    """Searches for lost executions at each tick.

    ``regular_seconds`` returns for how long this process has renewed its own heartbeat in time.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        dispatcher: Dispatcher,
        *,
        worker_timeout: timedelta,
        regular_seconds: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._dispatcher = dispatcher
        self._worker_timeout = worker_timeout
        self._regular_seconds = regular_seconds

    def tick(self) -> bool:
        """Rescue a batch of each kind. Return whether there may be more."""
        now = clock.now()
        alive_since, before = now - self._worker_timeout, now - CLAIM_GRACE
        with reading(self._engine) as connection:
            suspicion = rescue.suspect(
                connection,
                alive_since=alive_since,
                before=before,
                horizon=now + self._dispatcher.lookahead,
            )
        more_running = suspicion.is_any_lost and self._rescue_running(
            alive_since if self._may_declare() else None, now=now
        )
        more_queued = suspicion.is_any_unclaimed and self._rescue_queued(before)
        more_waiting = any(suspicion) and self._dispatcher.dispatch_due(since=None)
        return more_running or more_queued or more_waiting

    def _may_declare(self) -> bool:
        return self._regular_seconds() >= self._worker_timeout.total_seconds()

    def _rescue_running(self, alive_since: datetime | None, *, now: datetime) -> bool:
        """Declare workers without a heartbeat since then lost, and redeliver their executions."""
        with transaction(self._engine) as connection:
            if alive_since:
                workers.declare_lost(connection, alive_since=alive_since)
            held = rescue.lost(connection, batch=BATCH)
            redeliver(connection, held, now=now)
            failpoints.hit("rescue.redelivered")
        _report("worker_lost", len(held))
        return len(held) == BATCH

    def _rescue_queued(self, before: datetime) -> bool:
        """Mark executions whose message is gone as without a worker, for dispatch to find."""
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            # Its queues cannot be read, and nothing could be published again.
            return False
        gone: list[UUID] = []
        with transaction(self._engine) as connection:
            for queue in queues.BACKLOG_OF:
                waiting = [oldest[name] for name in queues.lists_of(queue) if name in oldest]
                sent_before = _sent_before(min(waiting, default=None), before)
                gone += rescue.unclaimed(connection, queue, before=sent_before, batch=BATCH)
            undone = undispatched.undo_dispatch(connection, gone)
        _report("message_lost", undone)
        return len(gone) >= BATCH


def _sent_before(oldest: datetime | None, before: datetime) -> datetime:
    """Return the instant before which every message has left a queue.

    ``dispatched_at`` is read just before publishing, and ``oldest`` is cut to milliseconds.
    """
    return before if oldest is None else min(before, oldest - CLAIM_GRACE)


def _report(cause: str, count: int) -> None:
    if count:
        _log.warning("rescued", cause=cause, executions=count)
        metrics.RESCUED.labels(cause).inc(count)

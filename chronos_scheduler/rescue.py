"""Rescue: put back what a lost worker or a lost message left behind.

- Workers that gave no sign for ``worker_timeout`` are declared lost. Their running executions go
  back to queued, or fail once they were handed out too often. While the database was away nobody
  could give a sign: that is held against nobody.
- Queued executions that are well past due although their message has left the queue are
  dispatched again. Whether it has left is exact: a queue is first in, first out, so a message
  older than the oldest one there is gone.
"""

import time
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints, metrics
from chronos_common.broker import Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.storage import workers
from chronos_common.storage.executions import dispatch, rescue
from chronos_common.storage.postgres.database import reading, transaction
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.redeliver import redeliver

_log = structlog.get_logger(__name__)

BATCH = 1000

#: Longer than any healthy worker needs from message to claim.
CLAIM_GRACE = timedelta(seconds=5)


class Rescuer:
    """Looks for what was lost at each tick."""

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        dispatcher: Dispatcher,
        *,
        worker_timeout: timedelta,
        listened: timedelta | None = None,
    ) -> None:
        """Take where to look, and after how long a silent worker counts as lost.

        ``listened`` is for how long this process itself must have reached the database before it
        declares anybody lost, ``worker_timeout`` by default.
        """
        self._engine = engine
        self._broker = broker
        self._dispatcher = dispatcher
        self._worker_timeout = worker_timeout
        self._listened = worker_timeout if listened is None else listened
        self._listening_since: float | None = None

    def tick(self) -> bool:
        """Rescue a batch of each kind; True if there may be more."""
        try:
            more_running = self._rescue_running()
        except Exception:
            self._listening_since = None
            raise
        more_queued = self._rescue_queued()
        more_waiting = self._dispatcher.dispatch_due(since=None)
        return more_running or more_queued or more_waiting

    def _rescue_running(self) -> bool:
        now = clock.now()
        may_declare, alive_since = self._has_listened(), now - self._worker_timeout
        with reading(self._engine) as connection:
            if not rescue.is_any_lost(connection, alive_since=alive_since):
                return False
        with transaction(self._engine) as connection:
            if may_declare:
                workers.declare_lost(connection, alive_since=alive_since)
            held = rescue.lost(connection, batch=BATCH)
            redeliver(connection, held, now=now)
            failpoints.reached("rescue.redelivered")
        _report("worker_lost", len(held))
        return len(held) == BATCH

    def _has_listened(self) -> bool:
        if self._listening_since is None:
            self._listening_since = time.monotonic()
        return time.monotonic() - self._listening_since >= self._listened.total_seconds()

    def _rescue_queued(self) -> bool:
        """Mark executions whose message is gone as with no worker; dispatch finds them."""
        before = clock.now() - CLAIM_GRACE
        with reading(self._engine) as connection:
            if not rescue.unclaimed(connection, None, before=before, batch=1):
                return False
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            # Nothing can be said of its queues, and nothing could be published again.
            return False
        gone: list[UUID] = []
        with transaction(self._engine) as connection:
            for queue in queues.ALL:
                sent_before = _sent_before(oldest.get(queue), before)
                gone += rescue.unclaimed(connection, queue, before=sent_before, batch=BATCH)
            undone = dispatch.undo_dispatch(connection, gone)
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

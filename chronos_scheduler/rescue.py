"""Rescue: put back what a lost worker or a lost message left behind.

- Running executions whose worker gave no sign for ``worker_timeout`` go back to queued, or fail
  once they were handed out too often.
- Queued executions that are well past due although their message has left the queue are
  dispatched again. Whether it has left is exact: a queue is first in, first out, so a message
  older than the oldest one there is gone.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine

from chronos_common import clock, metrics
from chronos_common.broker import Broker, BrokerUnavailable
from chronos_common.domain.outcomes import Finish, Lost, Redeliver, next_step
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage import dispatches, executions, losses, notifications, stats, workers
from chronos_common.storage.database import transaction
from chronos_common.storage.losses import Held
from chronos_scheduler.dispatch import Dispatcher

_log = structlog.get_logger(__name__)

BATCH = 1000

#: Longer than any healthy worker needs from message to claim.
CLAIM_GRACE = timedelta(seconds=5)


class Rescuer:
    """Looks for what was lost at each tick."""

    def __init__(
        self, engine: Engine, broker: Broker, dispatcher: Dispatcher, *, worker_timeout: timedelta
    ) -> None:
        """Take where to look, and after how long a silent worker counts as lost."""
        self._engine = engine
        self._broker = broker
        self._dispatcher = dispatcher
        self._worker_timeout = worker_timeout

    def tick(self) -> bool:
        """Rescue a batch of each kind; True if there may be more."""
        more_running = self._rescue_running()
        more_queued = self._rescue_queued()
        more_waiting = self._dispatcher.accepting and self._dispatcher.dispatch_due(since=None)
        return more_running or more_queued or more_waiting

    def _rescue_running(self) -> bool:
        now = clock.now()
        alive_since = now - self._worker_timeout
        with transaction(self._engine) as connection:
            held = losses.lost(connection, alive_since=alive_since, batch=BATCH)
            steps = [(each, _step(each)) for each in held]
            again = [each.id for each, step in steps if isinstance(step, Redeliver)]
            losses.redeliver(connection, again)
            for each, step in steps:
                if isinstance(step, Finish):
                    failed = executions.end(
                        connection,
                        [each.id],
                        status=Status.FAILED,
                        reason=Reason.WORKER_LOST,
                        error=step.error,
                        now=now,
                    )
                    stats.add(connection, failed, now=now)
                    notifications.enqueue(connection, failed, now=now)
            workers.remove_dead(connection, alive_since=alive_since - self._worker_timeout)
        _report("worker_lost", len(held))
        return len(held) == BATCH

    def _rescue_queued(self) -> bool:
        """Mark executions whose message is gone as with no worker; dispatch finds them."""
        before = clock.now() - CLAIM_GRACE
        with transaction(self._engine) as connection:
            unclaimed = losses.unclaimed(connection, before=before, batch=BATCH)
        if not unclaimed:
            return False
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            # Nothing can be said of its queues, and nothing could be published again.
            return False
        gone = [
            identifier
            for identifier, queue, dispatched_at in unclaimed
            if _has_left(dispatched_at, oldest.get(queue))
        ]
        with transaction(self._engine) as connection:
            undone = dispatches.undo_dispatch(connection, gone)
        _report("message_lost", undone)
        return len(gone) == BATCH


def _step(held: Held) -> Finish | Redeliver:
    step = next_step(
        Lost(),
        attempt=held.attempt,
        redeliveries=held.redeliveries,
        policy=RetryPolicy(),
        jitter=0.0,
    )
    if isinstance(step, Finish | Redeliver):
        return step
    raise AssertionError("a lost worker costs no attempt")


def _has_left(dispatched_at: datetime, oldest: datetime | None) -> bool:
    """Tell whether a message sent at ``dispatched_at`` cannot be in its queue any more.

    ``dispatched_at`` was read just before publishing, and ``oldest`` is cut to milliseconds.
    """
    return oldest is None or dispatched_at < oldest - CLAIM_GRACE


def _report(cause: str, count: int) -> None:
    if count:
        _log.warning("rescued", cause=cause, executions=count)
        metrics.RESCUED.labels(cause).inc(count)

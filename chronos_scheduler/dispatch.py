"""Dispatch: hand executions to the workers, through the queues.

Planned executions are published at once. Each tick finds the other due executions without a worker
in PostgreSQL, so that a restart of anything changes nothing. Those are retries, triggers,
executions that rescue put back, and executions that waited because the queues were full.

When messages wait longer than ``max_queued_seconds`` in a queue, or Redis does not answer, nothing
more is published to it: the rest is safe in PostgreSQL.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints, ids, metrics
from chronos_common.broker import Batch, Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage import consequences
from chronos_common.storage.executions import executions, undispatched
from chronos_common.storage.executions.undispatched import Dispatched
from chronos_common.storage.postgres.database import reading, transaction

_log = structlog.get_logger(__name__)

#: Executions due within the same window share a message. Its worker starts each at its instant.
WINDOW_MS = 50

#: How far back a tick searches for scheduled instants. Rescue searches all of them.
RECENT = timedelta(days=1)

#: How far beyond the lookahead a tick searches, to know for how long dispatch may rest.
LONGEST_REST = timedelta(seconds=5)

#: How long a reading of the queues stays valid.
LOOK_SECONDS = 0.25


class Dispatcher:
    """Publishes executions, and knows whether the queues take more.

    A tick takes ``batch`` executions, and a message carries ``message_size`` at most.
    ``on_failure`` is called after a failed publish, which may have lost messages.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        *,
        lookahead: timedelta,
        batch: int,
        message_size: int,
        max_queued: timedelta,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._broker = broker
        self.lookahead = lookahead
        self._batch = batch
        self._message_size = message_size
        self._max_queued = max_queued
        self._on_failure = on_failure
        #: The next instant at which an execution without a worker is due, as far as the last tick
        #: searched.
        self.next_due: datetime | None = None
        self._looked_at = -LOOK_SECONDS
        self._accepting: frozenset[str] = frozenset()
        self._lock = Lock()

    def tick(self) -> bool:
        """Dispatch due executions without a worker. Return whether there may be more."""
        # Unless it was held up, the queues need not be read before there is work.
        accepting = self.accepting if self.is_held_up else frozenset(queues.DURABLE)
        if not accepting:
            return False
        now = clock.now()
        since, horizon = now - RECENT, now + self.lookahead
        with reading(self._engine) as connection:
            self.next_due = next_due = undispatched.next_due(
                connection, accepting, horizon=horizon + LONGEST_REST, since=since
            )
        if next_due is None or next_due > horizon:
            return False
        return self.dispatch_due(since=since)

    def dispatch_due(self, *, since: datetime | None) -> bool:
        """Dispatch a batch scheduled from ``since`` on. Return whether there may be more."""
        accepting = self.accepting
        if not accepting:
            return False
        now = clock.now()
        horizon = now + self.lookahead
        with transaction(self._engine) as connection:
            due = undispatched.lock_due(
                connection, accepting, horizon=horizon, batch=self._batch, since=since
            )
            dispatched = undispatched.mark_dispatched(connection, due.waiting, now=now)
            for identifiers, reason in (
                (due.paused, Reason.PAUSED),
                (due.deleted, Reason.DELETED),
            ):
                ended = executions.end(
                    connection, identifiers, status=Status.CANCELLED, reason=reason, now=now
                )
                consequences.write(connection, ended, now=now)
        self.publish(dispatched)
        return len(due) == self._batch

    def publish(self, dispatched: Sequence[Dispatched]) -> None:
        """Put executions that are marked as handed over into their queues.

        Executions that Redis does not take wait in PostgreSQL again.
        """
        if not dispatched:
            return
        failpoints.hit("publish.begins")
        batches = list(_batches(dispatched, self._message_size, now=clock.now()))
        try:
            self._broker.publish(batches, now=clock.now())
        except BrokerUnavailable:
            _log.warning("publish failed", executions=len(dispatched), exc_info=True)
            self._give_back([each.id for each in dispatched])
            return
        failpoints.hit("publish.ends")
        for batch in batches:
            metrics.DISPATCHED.labels(batch.queue).inc(len(batch.ids))

    def _give_back(self, identifiers: Sequence[UUID]) -> None:
        """Undo a dispatch. A message that did arrive finds its execution still claimable."""
        metrics.PUBLISH_FAILURES.inc()
        self._note(frozenset())
        with transaction(self._engine) as connection:
            undispatched.undo_dispatch(connection, identifiers)
        self._on_failure()

    @property
    def accepting(self) -> frozenset[str]:
        """The queues that take more messages: they are short, and Redis answers."""
        with self._lock:
            if time.monotonic() - self._looked_at < LOOK_SECONDS:
                return self._accepting
        self._note(self._look())
        return self._accepting

    @property
    def is_held_up(self) -> bool:
        """Whether a queue took no more messages at its last reading."""
        return len(self._accepting) < len(queues.DURABLE)

    def _note(self, accepting: frozenset[str]) -> None:
        with self._lock:
            if accepting != self._accepting:
                full = sorted(set(queues.DURABLE) - accepting)
                _log.info("queues are full or away" if full else "queues take more", full=full)
            self._accepting = accepting
            self._looked_at = time.monotonic()
        for queue in queues.DURABLE:
            metrics.CONGESTED.labels(queue).set(queue not in accepting)

    def _look(self) -> frozenset[str]:
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            return frozenset()
        limit = clock.now() - self._max_queued
        waiting_long = {queue for queue, published_at in oldest.items() if published_at <= limit}
        return frozenset(queues.DURABLE) - waiting_long


def _batches(
    dispatched: Sequence[Dispatched], message_size: int, *, now: datetime
) -> Iterator[Batch]:
    """Group executions by queue and instant into messages, the earliest first.

    All overdue executions share messages. Only webhooks travel together: other actions occupy a
    worker's thread one at a time.
    """
    windows: dict[tuple[int, str], list[Dispatched]] = defaultdict(list)
    for each in dispatched:
        instant = max(each.due_at, now)
        windows[ids.milliseconds(instant) // WINDOW_MS, each.queue].append(each)
    for (_, queue), members in sorted(windows.items()):
        size = message_size if queue == queues.WEBHOOKS else 1
        for start in range(0, len(members), size):
            batch = members[start : start + size]
            yield Batch(queue, [each.id for each in batch], min(each.due_at for each in batch))

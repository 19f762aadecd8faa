"""Dispatch: hand executions to the workers, through the queues.

Planned executions are published at once. Each tick finds the other due executions without a worker
in PostgreSQL, so that a restart of anything changes nothing. Those are retries, triggers,
executions that rescue put back, and executions that waited because the queues were full.

When messages wait longer than ``max_queued_seconds`` in a queue, or Redis does not answer, nothing
more is published to it: the rest is safe in PostgreSQL.

No workspace delays another. A queue's first list takes a share of each workspace, and its backlog
the rest (see ``domain.queues``). While more is due than a tick takes, or a backlog is full, a tick
also takes the earliest executions of each workspace, for the first list.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from chronos_common import clock, failpoints, ids, metrics
from chronos_common.broker import Batch, Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.domain.queues import Shares
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage import consequences
from chronos_common.storage.executions import executions, undispatched
from chronos_common.storage.executions.undispatched import Dispatched, Undispatched
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

#: A batch of workspaces in turn has room for so many full shares.
SHARES_PER_BATCH: Final = 8

#: Precedes every workspace.
FIRST: Final = UUID(int=0)

_QUEUES: Final = frozenset(queues.BACKLOG_OF)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The queues that take more messages: into both lists, or at least into the first one."""

    accepting: frozenset[str] = frozenset()
    accepting_shares: frozenset[str] = frozenset()
    at: float = -LOOK_SECONDS

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.at >= LOOK_SECONDS


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
        self._reading = _Reading()
        self._shares = Shares()
        #: The reading at which the last turn was taken, and the workspace at which it ended.
        self._turned_at = self._reading
        self._turn_after = FIRST
        self._lock = Lock()

    def tick(self) -> bool:
        """Dispatch due executions without a worker. Return whether there may be more."""
        # Unless it was held up, the queues need not be read before there is work.
        accepting = self._read().accepting_shares if self.is_held_up else _QUEUES
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
        look = self._read()
        accepting = look.accepting
        counts = self._dispatch_earliest(accepting, since=since) if accepting else {}
        drained = {queue for queue in accepting if counts.get(queue, 0) < self._batch}
        in_turn = look.accepting_shares - drained
        if in_turn and self._turned_at is not look:
            self._turned_at = look
            self._dispatch_in_turn(in_turn, since=since)
        return bool(accepting - drained)

    def _dispatch_earliest(
        self, accepting: frozenset[str], *, since: datetime | None
    ) -> Mapping[str, int]:
        """Dispatch a batch of each queue, and return the number of executions by queue."""
        now = clock.now()
        with transaction(self._engine) as connection:
            due = undispatched.lock_due(
                connection,
                accepting,
                horizon=now + self.lookahead,
                batch=self._batch,
                since=since,
            )
            dispatched = _dispatch(connection, due, now=now)
        self.publish(dispatched)
        return due.counts

    def _dispatch_in_turn(self, accepting: frozenset[str], *, since: datetime | None) -> None:
        """Dispatch a share of each workspace, from the one at which the last turn ended."""
        now = clock.now()
        most = max(self._batch // SHARES_PER_BATCH, 1)
        with transaction(self._engine) as connection:
            due = undispatched.lock_in_turn(
                connection,
                {queue: min(self._shares.of(queue), most) for queue in accepting},
                horizon=now + self.lookahead,
                batch=self._batch,
                after=self._turn_after,
                since=since,
            )
            dispatched = _dispatch(connection, due, now=now)
        is_cut_off = sum(due.counts.values()) == self._batch
        self._turn_after = due.last if is_cut_off and due.last else FIRST
        self.publish(dispatched)

    def publish(self, dispatched: Sequence[Dispatched]) -> None:
        """Put executions that are marked as handed over into their queues.

        Executions that Redis does not take wait in PostgreSQL again.
        """
        if not dispatched:
            return
        failpoints.hit("publish.begins")
        batches = list(self._batches(dispatched, now=clock.now()))
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
        self._note(None)
        with transaction(self._engine) as connection:
            undispatched.undo_dispatch(connection, identifiers)
        self._on_failure()

    @property
    def accepting(self) -> frozenset[str]:
        """The queues that take more messages: they are short, and Redis answers."""
        return self._read().accepting

    @property
    def is_held_up(self) -> bool:
        """Whether a queue took no more messages at its last reading."""
        return len(self._reading.accepting) < len(_QUEUES)

    def _read(self) -> _Reading:
        """Return the last reading of the queues. An old one is replaced."""
        if self._reading.is_old:
            self._note(self._look())
        return self._reading

    def _note(self, ages: Mapping[str, timedelta] | None) -> None:
        """Note the ages of the oldest messages by list, or that Redis does not answer."""
        is_away, ages = ages is None, ages or {}
        long = {name for name, age in ages.items() if age >= self._max_queued}
        full = {q for q in queues.DURABLE if is_away or not long.isdisjoint(queues.lists_of(q))}
        accepting = _QUEUES - full
        within_shares = frozenset() if is_away else _QUEUES - long
        with self._lock:
            if accepting != self._reading.accepting:
                text = "queues are full or away" if full else "queues take more"
                _log.info(text, full=sorted(full))
            self._reading = _Reading(accepting, within_shares, time.monotonic())
            self._shares.renew(ages)
        for queue in queues.DURABLE:
            metrics.CONGESTED.labels(queue).set(queue in full)

    def _look(self) -> Mapping[str, timedelta] | None:
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            return None
        now = clock.now()
        return {name: now - published_at for name, published_at in oldest.items()}

    def _batches(self, dispatched: Sequence[Dispatched], *, now: datetime) -> Iterator[Batch]:
        """Group executions by list and instant into messages, the earliest first.

        All overdue executions share messages. Only webhooks travel together: other actions occupy
        a worker's thread one at a time.
        """
        windows: dict[tuple[int, str, bool], list[Dispatched]] = defaultdict(list)
        with self._lock:
            for each in dispatched:
                window = ids.milliseconds(max(each.due_at, now)) // WINDOW_MS
                is_backlog = not self._shares.take(each.queue, each.workspace_id)
                windows[window, each.queue, is_backlog].append(each)
        for (_, queue, is_backlog), members in sorted(windows.items()):
            size = self._message_size if queue == queues.WEBHOOKS else 1
            for start in range(0, len(members), size):
                batch = members[start : start + size]
                fire_at = min(each.due_at for each in batch)
                yield Batch(queue, [each.id for each in batch], fire_at, is_backlog)


def _dispatch(connection: Connection, due: Undispatched, *, now: datetime) -> list[Dispatched]:
    """Mark executions, which are locked, as dispatched, and end those of stopped jobs."""
    for identifiers, reason in ((due.paused, Reason.PAUSED), (due.deleted, Reason.DELETED)):
        ended = executions.end(
            connection, identifiers, status=Status.CANCELLED, reason=reason, now=now
        )
        consequences.write(connection, ended, now=now)
    return undispatched.mark_dispatched(connection, due.waiting, now=now)

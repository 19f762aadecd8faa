"""The watchdog: ends this process if it neglects a queue that has messages.

A consumer can hang where no timeout reaches. It still answers pings and renews its heartbeat, so
only progress counts. The process's supervisor starts it again. Nothing is lost: the executions
that it holds go back or are rescued.

A queue is neglected once all of this has held for ``neglect_seconds``:

1. Redis answers, and the queue's oldest message was published that long ago.
2. This process took no message of that queue.
3. It had a free thread for one.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock, Timer
from uuid import UUID

import structlog

from chronos_common import clock
from chronos_common.broker import Broker, BrokerUnavailable
from chronos_worker.consumers.celery_app import Task

_log = structlog.get_logger(__name__)

#: Longer than the pause of the consumers between attempts to reach Redis again.
NEGLECT_SECONDS = 45.0

#: The interval of checks, a small part of ``NEGLECT_SECONDS``.
LOOK_SECONDS = 5.0

#: ``EX_SOFTWARE`` of sysexits.h.
EXIT_CODE = 70


class Watchdog:
    """Counts the messages that this process takes, and checks at each tick for neglected queues.

    ``threads`` holds the number of threads of each queue, and ``lists`` its lists of messages. The
    backlog of webhooks counts as a queue, because it has a consumer of its own. ``on_neglect`` is
    called with the name of a neglected queue.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        threads: Mapping[str, int],
        lists: Mapping[str, Collection[str]],
        on_neglect: Callable[[str], None],
        neglect_seconds: float = NEGLECT_SECONDS,
    ) -> None:
        self._broker = broker
        self._threads = threads
        self._lists = lists
        self._on_neglect = on_neglect
        self._neglect_seconds = neglect_seconds
        self._lock = Lock()
        self._busy = dict.fromkeys(threads, 0)
        self._looked_at = time.monotonic()
        self._excused_at = dict.fromkeys(threads, self._looked_at)

    def watched(self, queue: str, task: Task) -> Task:
        """Return ``task`` with its calls counted as messages of ``queue``."""

        def run(identifiers: Sequence[UUID], fire_at: datetime) -> None:
            self._count(queue, 1)
            try:
                task(identifiers, fire_at)
            finally:
                self._count(queue, -1)

        return run

    def _count(self, queue: str, change: int) -> None:
        with self._lock:
            self._busy[queue] += change
            self._excused_at[queue] = time.monotonic()

    def tick(self) -> bool:
        """Check all queues and return False: nothing is left to do at once."""
        waiting_long = self._waiting_long()
        now = time.monotonic()
        # A process that was frozen took no messages either, and is not at fault.
        was_frozen = now - self._looked_at > self._neglect_seconds / 2
        self._looked_at = now
        with self._lock:
            for queue, threads in self._threads.items():
                is_busy = self._busy[queue] >= threads
                if was_frozen or is_busy or queue not in waiting_long:
                    self._excused_at[queue] = now
            silent = {queue: now - excused for queue, excused in self._excused_at.items()}
        for queue, seconds in silent.items():
            if seconds >= self._neglect_seconds:
                _log.error("queue neglected; ending this process", queue=queue, seconds=seconds)
                self._on_neglect(queue)
                break
        return False

    def _waiting_long(self) -> set[str]:
        """Return the queues whose oldest message is overdue, or none without Redis."""
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            return set()
        limit = clock.now() - timedelta(seconds=self._neglect_seconds)
        late = {name for name, published_at in oldest.items() if published_at < limit}
        return {queue for queue, lists in self._lists.items() if not late.isdisjoint(lists)}


def end_process(*, grace_seconds: float) -> None:
    """Stop this process as SIGTERM does, or at once if that lasts longer than the grace."""
    timer = Timer(grace_seconds, os._exit, [EXIT_CODE])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)

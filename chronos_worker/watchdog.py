"""The watchdog: notices that this process takes no messages although there are some, and ends it.

A consumer can hang where no timeout reaches, and then stays alive for ever: it answers pings and
renews its heartbeat. What counts is progress. A process that ends is started again by whoever
supervises it, and loses nothing: what it holds goes back, or is rescued.

A queue is neglected once all of this has held for ``patience_seconds``:

1. Redis answers, and the queue's oldest message was published that long ago.
2. This process took no message of that queue.
3. It had a thread to spare for one.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock, Timer
from uuid import UUID

import structlog

from chronos_common import clock
from chronos_common.broker import Broker, BrokerUnavailable

_log = structlog.get_logger(__name__)

#: Longer than the consumers wait between attempts to reach a Redis that comes back.
PATIENCE_SECONDS = 45.0

#: How often to look; much more often than patience ends.
LOOK_SECONDS = 5.0

#: ``EX_SOFTWARE`` of sysexits.h.
EXIT_CODE = 70

Task = Callable[[Sequence[UUID], datetime], None]


class Watchdog:
    """Counts what this process takes, and looks at each tick whether it should have taken more."""

    def __init__(
        self,
        broker: Broker,
        *,
        threads: Mapping[str, int],
        on_neglect: Callable[[str], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Take where to look, how many threads each queue has, and whom to tell of a neglected."""
        self._broker = broker
        self._threads = threads
        self._on_neglect = on_neglect
        self._patience = patience_seconds
        self._lock = Lock()
        self._busy = dict.fromkeys(threads, 0)
        self._looked_at = time.monotonic()
        self._excused_at = dict.fromkeys(threads, self._looked_at)

    def watched(self, queue: str, task: Task) -> Task:
        """Return ``task``, counted as what is taken of ``queue``."""

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
        """Look once; never asks to be called at once."""
        waiting_long = self._waiting_long()
        now = time.monotonic()
        # A process that was frozen took nothing either.
        was_frozen = now - self._looked_at > self._patience / 2
        self._looked_at = now
        with self._lock:
            for queue, threads in self._threads.items():
                is_busy = self._busy[queue] >= threads
                if was_frozen or is_busy or queue not in waiting_long:
                    self._excused_at[queue] = now
            silent = {queue: now - excused for queue, excused in self._excused_at.items()}
        for queue, seconds in silent.items():
            if seconds >= self._patience:
                _log.error("queue neglected; ending this process", queue=queue, seconds=seconds)
                self._on_neglect(queue)
                break
        return False

    def _waiting_long(self) -> set[str]:
        """Return the queues whose oldest message nobody took in time; none without Redis."""
        try:
            oldest = self._broker.oldest()
        except BrokerUnavailable:
            return set()
        limit = clock.now() - timedelta(seconds=self._patience)
        return {queue for queue, published_at in oldest.items() if published_at < limit}


def end_process(*, grace_seconds: float) -> None:
    """Stop this process as SIGTERM does; if that hangs as well, at once after a while."""
    timer = Timer(grace_seconds, os._exit, [EXIT_CODE])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)

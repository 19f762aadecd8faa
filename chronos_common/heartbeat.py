"""The sign of life of a scheduler or worker process, and its identity.

1. The process registers under a new id and renews its heartbeat every few seconds.
2. Once it gave no sign for ``timeout``, rescue hands its executions to others.
3. A process that was frozen or cut off that long finds that its renewal is refused. It goes on
   under a new id, so that nothing it did under the old one can overwrite what happened since.
4. Between renewals it knows by its own clock whether its lease still holds: what it has not
   started by the end of the lease it does not start.
"""

import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import __version__, clock, ids
from chronos_common.loops import Loop
from chronos_common.storage import workers
from chronos_common.storage.database import measure_clock, transaction

_log = structlog.get_logger(__name__)

#: A fraction of the timeout, so that two renewals may fail before the lease ends.
RENEWALS_PER_TIMEOUT = 3


class Heartbeat:
    """Keeps this process known as alive, and its clock in step with the database's."""

    def __init__(
        self,
        engine: Engine,
        *,
        kind: str,
        timeout: timedelta,
        in_flight: Callable[[], int] = lambda: 0,
    ) -> None:
        """Take what to say; ``kind`` is "worker" or "scheduler"."""
        self._engine = engine
        self._kind = kind
        self._timeout = timeout
        self._in_flight = in_flight
        self._lease_ends = 0.0
        self.id = UUID(int=0)
        interval = timeout.total_seconds() / RENEWALS_PER_TIMEOUT
        self._loop = Loop("heartbeat", self._tick, idle_seconds=interval)

    def start(self) -> None:
        """Register, then renew in the background. Raises if the database does not answer."""
        self._register()
        self._loop.start()

    def stop(self) -> None:
        """End the renewals and forget the process, whose executions must be given back before."""
        self._loop.stop()
        self._loop.join(timeout=5)
        with transaction(self._engine) as connection:
            workers.remove(connection, self.id)

    def holds(self, identifier: UUID) -> bool:
        """Tell whether this process may still act under ``identifier``."""
        return identifier == self.id and time.monotonic() < self._lease_ends

    def _tick(self) -> bool:
        asked = time.monotonic()
        with transaction(self._engine) as connection:
            clock.correct_by(measure_clock(connection))
            now = clock.now()
            alive = workers.beat(
                connection,
                self.id,
                in_flight=self._in_flight(),
                alive_since=now - self._timeout,
                now=now,
            )
        if alive:
            self._lease_ends = asked + self._timeout.total_seconds()
        else:
            _log.warning("declared lost; going on under a new id", worker=str(self.id))
            self._register()
        return False

    def _register(self) -> None:
        asked = time.monotonic()
        with transaction(self._engine) as connection:
            clock.correct_by(measure_clock(connection))
            now = clock.now()
            process = workers.Process(
                id=ids.new_id(now),
                kind=self._kind,
                hostname=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
            )
            workers.register(connection, process, now=now)
        self.id = process.id
        self._lease_ends = asked + self._timeout.total_seconds()

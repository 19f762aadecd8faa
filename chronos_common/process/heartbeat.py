"""The sign of life of a scheduler or worker process, and its identity.

1. The process registers under a new id and renews its heartbeat every few seconds.
2. After ``timeout`` without a renewal, rescue removes it and hands its executions to others.
3. A process that was frozen or cut off that long finds that its renewal is refused. It goes on
   under a new id, so that its outcomes under the old one overwrite nothing. One that comes back
   before rescue looked keeps its id.
4. Between renewals it knows by its own clock whether its lease still holds. After the end of the
   lease it starts no execution.
"""

import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Condition
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import __version__, clock, ids
from chronos_common.process.loops import Loop
from chronos_common.storage import workers
from chronos_common.storage.postgres.database import measure_clock, reading, transaction

_log = structlog.get_logger(__name__)

#: A fraction of the timeout, so that two renewals may fail before the lease ends.
RENEWALS_PER_TIMEOUT = 3

#: A renewal is late after so many intervals. An absence of the database that ends a lease takes
#: two at least, so a renewal of each process is late then.
LATE_INTERVALS = 1.5


class Heartbeat:
    """Keeps this process known as alive, and its clock in step with the database's.

    ``kind`` is "worker" or "scheduler".
    """

    def __init__(
        self,
        engine: Engine,
        *,
        kind: str,
        timeout: timedelta,
        in_flight: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = engine
        self._kind = kind
        self._timeout = timeout
        self._in_flight = in_flight
        self._interval_seconds = timeout.total_seconds() / RENEWALS_PER_TIMEOUT
        self._lease_ends = 0.0
        self._regular_since = 0.0
        self._renewed = Condition()
        self.id = UUID(int=0)
        self._loop = Loop("heartbeat", self._tick, idle_seconds=self._interval_seconds)

    def start(self) -> None:
        """Register, then renew in the background. Raises if the database does not answer."""
        self._register()
        self._loop.start()

    def stop(self) -> None:
        """End the renewals and forget the process, whose executions must be given back before.

        Without the database the process counts as lost once its lease has ended.
        """
        self._loop.stop()
        self._loop.join(timeout=5)
        try:
            with transaction(self._engine) as connection:
                workers.remove(connection, self.id)
        except SQLAlchemyError as error:
            _log.warning("not forgotten", worker=str(self.id), error=str(error))

    def holds(self, identifier: UUID) -> bool:
        """Return whether this process may still act under ``identifier``."""
        return identifier == self.id and self._is_leased()

    @property
    def timeout_seconds(self) -> float:
        """Seconds without a renewal after which the process counts as lost."""
        return self._timeout.total_seconds()

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last renewal."""
        return time.monotonic() - (self._lease_ends - self.timeout_seconds)

    @property
    def regular_seconds(self) -> float:
        """Seconds for which no renewal was late, 0 while one is.

        Processes that live could renew their heartbeats in this time.
        """
        return 0.0 if self._is_late() else time.monotonic() - self._regular_since

    def wait_for_lease(self, timeout: float) -> bool:
        """Renew a lease that has ended. Return whether that succeeded within ``timeout`` seconds.

        An execution that is claimed after the lease's end could not be started.
        """
        if self._is_leased():
            return True
        self._loop.wake()
        with self._renewed:
            return self._renewed.wait_for(self._is_leased, timeout)

    def _is_leased(self) -> bool:
        return time.monotonic() < self._lease_ends

    def _is_late(self) -> bool:
        return self.silent_seconds > LATE_INTERVALS * self._interval_seconds

    def _lease_from(self, moment: float) -> None:
        if self._is_late():
            self._regular_since = moment
        with self._renewed:
            self._lease_ends = moment + self._timeout.total_seconds()
            self._renewed.notify_all()

    def _tick(self) -> bool:
        asked = time.monotonic()
        with reading(self._engine) as connection:
            clock.correct_by(measure_clock(connection))
            alive = workers.renew(
                connection, self.id, in_flight=self._in_flight(), now=clock.now()
            )
        if alive:
            self._lease_from(asked)
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
        self._lease_from(asked)

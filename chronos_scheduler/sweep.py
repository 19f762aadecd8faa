"""Sweep: the safety net under everything else.

Every five minutes, at start and after a failed publish it searches for states that should be
impossible. Each find is repaired, counted and logged. In a healthy system it finds nothing.
"""

from datetime import datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.jobs import MAX_TIMEOUT_SECONDS
from chronos_common.storage.executions import rescue, undispatched
from chronos_common.storage.jobs import schedules
from chronos_common.storage.outbox import account_emails, failure_emails
from chronos_common.storage.postgres.database import transaction
from chronos_scheduler.redeliver import redeliver

_log = structlog.get_logger(__name__)

BATCH = 1000

#: Plan and rescue need seconds, so an older row was overlooked.
PATIENCE = timedelta(minutes=2)

#: Longer than a message waits in any queue that still moves, as a full one gets no more messages.
LONGEST_QUEUED = timedelta(minutes=10)

#: Longer than any attempt may take, its batch's recording included.
LONGEST_ATTEMPT = timedelta(seconds=MAX_TIMEOUT_SECONDS) + PATIENCE


class Sweeper:
    """Searches for impossible states at each tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._able_since = monotonic()

    def tick(self) -> bool:
        """Sweep once. Return whether a full batch shows that there may be more."""
        try:
            return self._sweep()
        except SQLAlchemyError:
            self._able_since = monotonic()
            raise

    def _sweep(self) -> bool:
        now = clock.now()
        with transaction(self._engine) as connection:
            # At first, and after an outage, rows may be overdue because no process could handle
            # them.
            if monotonic() - self._able_since >= PATIENCE.total_seconds():
                self._find_unplanned(connection, now=now)
                self._find_unsent(connection, now=now)
            stuck = self._free_stuck(connection, now=now)
            failpoints.hit("sweep.halfway")
            queued = self._free_queued(connection, now=now)
        return BATCH in {stuck, queued}

    @staticmethod
    def _find_unplanned(connection: Connection, *, now: datetime) -> None:
        """Count schedules far in the past. Plan takes the oldest first: it needs no repair."""
        count, oldest = schedules.overdue(connection, before=now - PATIENCE)
        _report("schedule_overdue", count, oldest=str(oldest))

    @staticmethod
    def _find_unsent(connection: Connection, *, now: datetime) -> None:
        """Count notifications that no scheduler published. Notify publishes them."""
        _report(
            "notification_overdue",
            failure_emails.outbox.count_overdue(connection, before=now - PATIENCE)
            + account_emails.outbox.count_overdue(connection, before=now - PATIENCE),
        )

    @staticmethod
    def _free_stuck(connection: Connection, *, now: datetime) -> int:
        """Queue executions again that a living worker holds far longer than any attempt takes."""
        stuck = rescue.running_since(connection, before=now - LONGEST_ATTEMPT, batch=BATCH)
        redeliver(connection, stuck, now=now)
        _report("execution_stuck", len(stuck))
        return len(stuck)

    @staticmethod
    def _free_queued(connection: Connection, *, now: datetime) -> int:
        """Dispatch unclaimed executions again, whatever the state of the queues."""
        before = now - LONGEST_QUEUED
        unclaimed = rescue.unclaimed(connection, None, before=before, batch=BATCH)
        undispatched.undo_dispatch(connection, unclaimed)
        _report("execution_unclaimed", len(unclaimed))
        return len(unclaimed)


def _report(find: str, count: int, **details: str) -> None:
    if count:
        _log.error("sweep found", find=find, count=count, **details)
        metrics.SWEEP_FINDS.labels(find).inc(count)

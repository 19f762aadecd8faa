"""Sweep: the safety net under everything else.

Every five minutes, at start and after a failed publish it searches for states that should be
impossible. Each find is repaired, counted and logged. In a healthy system it finds nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.jobs import MAX_TIMEOUT_SECONDS
from chronos_common.domain.timezones import files
from chronos_common.errors import ChronosError
from chronos_common.storage.executions import rescue, undispatched
from chronos_common.storage.jobs import schedules
from chronos_common.storage.jobs.schedules import Earlier
from chronos_common.storage.outbox import account_emails, failure_emails
from chronos_common.storage.postgres.database import transaction
from chronos_scheduler.redeliver import redeliver

_log = structlog.get_logger(__name__)

BATCH = 1000

#: Plan and rescue need seconds, so an older row was overlooked.
PATIENCE = timedelta(minutes=2)

#: Schedules whose next run one sweep examines.
PAGE = 2000

#: More than plan looks ahead. No occurrence after it is planned yet.
MARGIN = timedelta(minutes=2)

_FIRST = UUID(int=0)

#: Longer than a message waits in any queue that still moves, as a full one gets no more messages.
LONGEST_QUEUED = timedelta(minutes=10)

#: Longer than any attempt may take, its batch's recording included.
LONGEST_ATTEMPT = timedelta(seconds=MAX_TIMEOUT_SECONDS) + PATIENCE


class Sweeper:
    """Searches for impossible states at each tick.

    ``are_mails_held_up`` returns whether e-mails have a reason to wait.
    """

    def __init__(
        self, engine: Engine, *, are_mails_held_up: Callable[[], bool] = lambda: False
    ) -> None:
        self._engine = engine
        self._are_mails_held_up = are_mails_held_up
        self._able_since = monotonic()
        self._silent = SilentSchedules()

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
                if not self._are_mails_held_up():
                    self._find_unsent(connection, now=now)
            _report("schedule_silent", self._silent.mend(connection, now=now))
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
        """Dispatch unclaimed executions again, without a look at the queues."""
        before = now - LONGEST_QUEUED
        unclaimed = rescue.unclaimed(connection, None, before=before, batch=BATCH)
        undispatched.undo_dispatch(connection, unclaimed)
        _report("execution_unclaimed", len(unclaimed))
        return len(unclaimed)


def _report(find: str, count: int, **details: str) -> None:
    if count:
        _log.error("sweep found", find=find, count=count, **details)
        metrics.SWEEP_FINDS.labels(find).inc(count)


class SilentSchedules:
    """Finds schedules whose stored next run lies beyond one that the schedule itself has.

    Plan moves each schedule by the clock. If that was far ahead for a moment, the next runs lie
    beyond it, and the jobs would stay silent until then. Each call examines a page of schedules,
    and begins again after the last one. Occurrences that ran already are not run again: plan knows
    their ids.
    """

    def __init__(self) -> None:
        self._after = _FIRST

    def mend(self, connection: Connection, *, now: datetime) -> int:
        """Bring forward the next runs of silent schedules, and return their number."""
        since = now + MARGIN
        page = schedules.waiting(connection, after=self._after, since=since, limit=PAGE)
        self._after = page[-1].job_id if len(page) == PAGE else _FIRST
        found = [each for row in page if (each := _earlier(row, since))]
        return schedules.bring_forward(connection, found)


def _earlier(row: Row[Any], since: datetime) -> Earlier | None:
    """Return the next run of a schedule if it is earlier than the stored one.

    A schedule that other rules of its zone have computed is left to ``zone_rules``, and one that
    cannot be followed to plan.
    """
    try:
        schedule = schedules.schedule_of(row.job_id, row._mapping)  # noqa: SLF001 - public in spite of its name
        if row.zone_rules is not None and row.zone_rules != files.mark(schedule.timezone):
            return None
        first = schedule.first_at_or_after(since)
    except (ArithmeticError, ValueError, ChronosError):
        _log.exception("schedule cannot be followed", job_id=str(row.job_id))
        return None
    if first is None or first >= row.next_run_at:
        return None
    return Earlier(row.job_id, row.next_run_at, first)

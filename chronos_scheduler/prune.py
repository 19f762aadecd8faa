"""Prune: make the partitions of the days to come, remove history past its retention."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints
from chronos_common.storage import adhoc_runs, idempotency
from chronos_common.storage.accounts import (
    api_keys,
    email_tokens,
    invitations,
    registrations,
    users,
)
from chronos_common.storage.executions import partitions, statistics
from chronos_common.storage.outbox import account_emails, failure_emails
from chronos_common.storage.postgres.database import transaction

_log = structlog.get_logger(__name__)

DAYS_AHEAD = 7

#: Hourly sums are small, and a year of them lets a dashboard compare.
STATS_RETENTION = timedelta(days=400)


class Pruner:
    """Keeps the partitions of ``executions`` around today at each tick."""

    def __init__(self, engine: Engine, *, retention: timedelta) -> None:
        self._engine = engine
        self._retention = retention

    def tick(self) -> bool:
        """Create and drop partitions, one transaction each. Return False, as none is urgent."""
        now = clock.now()
        self.create_partitions()
        failpoints.hit("prune.halfway")
        for day in self._existing():
            if _end_of(day) < now - self._retention:
                self._drop(day)
        self._prune_rest(now)
        return False

    def create_partitions(self) -> None:
        """Create the missing partitions, before the first row of a day is written."""
        today = clock.now().date()
        wanted = [today + timedelta(days=offset) for offset in range(-1, DAYS_AHEAD + 1)]
        for day in sorted(set(wanted).difference(self._existing())):
            self._create(day)

    def _existing(self) -> Sequence[date]:
        with transaction(self._engine) as connection:
            return partitions.existing(connection)

    def _create(self, day: date) -> None:
        with transaction(self._engine) as connection:
            partitions.lock(connection)
            if day in partitions.existing(connection):
                return
            created = partitions.create(connection, day)
        if created:
            _log.info("partition created", day=str(day))
        else:
            _log.warning("the day's rows stay in the default partition", day=str(day))

    def _drop(self, day: date) -> None:
        """Drop the day's history, unless it has unfinished executions."""
        with transaction(self._engine) as connection:
            partitions.lock(connection)
            if day not in partitions.existing(connection):
                return
            unfinished = partitions.unfinished_in(connection, day)
            if unfinished:
                _log.warning("partition kept", day=str(day), unfinished=unfinished)
                return
            partitions.drop(connection, day)
            _log.info("partition dropped", day=str(day))

    def _prune_rest(self, now: datetime) -> None:
        oldest = now - self._retention
        with transaction(self._engine) as connection:
            partitions.prune_default(connection, before=oldest)
            statistics.prune(connection, before=now - STATS_RETENTION, now=now)
            users.prune_refresh_tokens(connection, before=now)
            for box in (failure_emails.outbox, account_emails.outbox):
                box.prune(connection, before=oldest)
            for each in (invitations, registrations, email_tokens, api_keys):
                each.prune(connection, before=oldest)
            idempotency.prune(connection, now=now)
            adhoc_runs.prune(connection, now=now)


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)

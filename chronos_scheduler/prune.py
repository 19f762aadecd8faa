"""Prune: make the partitions of the days to come, remove history past its retention.

A clock may be wrong by years. So the retention also counts the days that have a partition, as each
day that this cluster lives through gets one. A tick drops one day at most.

Deleted workspaces are stopped, and removed when their time is over.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints
from chronos_common.storage import (
    adhoc_runs,
    audit,
    bulk_changes,
    consequences,
    idempotency,
    replays,
)
from chronos_common.storage.accounts import (
    api_keys,
    deletions,
    device_logins,
    email_tokens,
    invitations,
    registrations,
    users,
)
from chronos_common.storage.executions import partitions, statistics
from chronos_common.storage.jobs import deleted
from chronos_common.storage.outbox import account_emails, failure_emails
from chronos_common.storage.postgres.database import transaction

_log = structlog.get_logger(__name__)

DAYS_AHEAD = 7

#: Hourly sums are small, and a year of them lets a dashboard compare.
STATS_RETENTION = timedelta(days=400)


#: Rows that one transaction of :class:`Expirer` or :class:`Purger` changes or removes.
BATCH = 2000


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
        existing = self._existing()
        oldest = oldest_kept(existing, retention=self._retention, now=now)
        expired = (day for day in existing if _start_of(day) + clock.DAY <= oldest)
        next(filter(self._drop, expired), None)
        self._prune_rest(oldest, now)
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

    def _drop(self, day: date) -> bool:
        """Drop the day's history, unless it has unfinished executions. Return whether it did."""
        with transaction(self._engine) as connection:
            partitions.lock(connection)
            if day not in partitions.existing(connection):
                return False
            unfinished = partitions.unfinished_in(connection, day)
            if unfinished:
                _log.warning("partition kept", day=str(day), unfinished=unfinished)
                return False
            partitions.drop(connection, day)
        _log.info("partition dropped", day=str(day))
        return True

    def _prune_rest(self, oldest: datetime, now: datetime) -> None:
        oldest_sums = oldest - max(STATS_RETENTION - self._retention, timedelta(0))
        with transaction(self._engine) as connection:
            partitions.prune_default(connection, before=oldest)
            statistics.prune(connection, before=oldest_sums, now=now)
            users.prune_refresh_tokens(connection, before=now)
            device_logins.prune(connection, before=now)
            for box in (failure_emails.outbox, account_emails.outbox):
                box.prune(connection, before=oldest)
            for each in (invitations, registrations, email_tokens, api_keys):
                each.prune(connection, before=oldest)
            idempotency.prune(connection, now=now)
            adhoc_runs.prune(connection, now=now)
            replays.prune(connection, before=oldest)
            bulk_changes.prune(connection, before=oldest)


def oldest_kept(existing: Sequence[date], *, retention: timedelta, now: datetime) -> datetime:
    """Return the instant before which history is past its retention.

    It is never later than the start of the day that has as many later ones, up to today, as the
    retention has days. After a jump of the clock there are no days between the old ones and today.
    """
    lived = sorted(day for day in existing if day <= now.date())
    if not lived:
        return now - retention
    return min(now - retention, _start_of(lived[max(0, len(lived) - 1 - retention.days)]))


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class Expirer:
    """Removes deleted jobs and entries of the audit log past their retention, in batches."""

    def __init__(
        self, engine: Engine, *, retention: timedelta, audit_retention: timedelta
    ) -> None:
        self._engine = engine
        self._retention = retention
        self._audit_retention = audit_retention

    def tick(self) -> bool:
        """Remove a batch of each. Return whether there may be more."""
        with transaction(self._engine) as connection:
            existing = partitions.existing(connection)
        oldest = oldest_kept(existing, retention=self._retention, now=clock.now())
        oldest_entry = oldest - (self._audit_retention - self._retention)
        with transaction(self._engine) as connection:
            removed_jobs = deleted.prune(connection, before=oldest, batch=BATCH)
        with transaction(self._engine) as connection:
            removed_entries = audit.prune(connection, before=oldest_entry, batch=BATCH)
        if removed_jobs or removed_entries:
            _log.info("past retention", jobs=removed_jobs, audit_entries=removed_entries)
        return BATCH in {removed_jobs, removed_entries}


class Purger:
    """Takes one step for each deleted workspace at each tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tick(self) -> bool:
        """Stop and purge some of each workspace. Return whether there may be more."""
        with transaction(self._engine) as connection:
            marked = deletions.marked(connection)
        found_work = [self._stop(each) or self._purge(each) for each in marked]
        return any(found_work)

    def _stop(self, workspace_id: UUID) -> bool:
        now = clock.now()
        with transaction(self._engine) as connection:
            paused, cancelled = deletions.stop(connection, workspace_id, batch=BATCH, now=now)
            consequences.write(connection, cancelled, now=now)
        return bool(paused or cancelled)

    def _purge(self, workspace_id: UUID) -> bool:
        now = clock.now()
        with transaction(self._engine) as connection:
            name = deletions.lock_due(connection, workspace_id, now=now)
            if name is None:
                return False
            if not deletions.purge(connection, workspace_id, batch=BATCH):
                return True
            audit.append(
                connection,
                workspace_id=None,
                user_id=None,
                action="workspace.purge",
                subject_type="workspace",
                details={workspace_id: {"name": name}},
                now=now,
            )
        _log.info("workspace purged", workspace_id=str(workspace_id))
        return False

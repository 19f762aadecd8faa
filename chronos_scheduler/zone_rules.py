"""Zone rules: after an update of the time zone database, schedules go on by the new rules.

Every cron schedule with a next instant has the mark of the rules that computed it. A database of
zones is kept for as long as a mark may come from it, so that the wall clock's reading at that
instant is known.

1. Before it plans anything, a scheduler compares its database with the one that the installation
   adopted last. Mostly they are the same, and it is done.
2. Otherwise it stores a copy of its own. From now on every mark of it can be resolved.
3. It goes through all schedules by their ids, a page in each transaction. It locks those whose
   mark is not that of their zone today, and computes the instant by the new rules. Instant, mark
   and audit entry are written together. A schedule moves once, because it has the new mark then: a
   scheduler that comes to it again skips it.
4. Only after the last page it adopts its database. A scheduler that dies before leaves the old one
   adopted. The next one goes through all pages again, and most of them are done.

Schedulers and APIs of both databases may run beside each other while an installation is updated. A
scheduler plans no schedule whose mark is not its own. It first moves schedules that an older API
stored meanwhile (``refresh``), and leaves those of a newer scheduler alone.

Schedules of releases before the marks have none. Those releases read the system's files first.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, Engine, Row

from chronos_common import clock, failpoints
from chronos_common.domain.timezones import files
from chronos_common.domain.timezones.rule_changes import instant_by_new_rules
from chronos_common.errors import ChronosError
from chronos_common.storage import audit, zone_rules
from chronos_common.storage.jobs.schedules import schedule_of
from chronos_common.storage.postgres.database import transaction
from chronos_common.storage.zone_rules import Adopted, Correction

_log = structlog.get_logger(__name__)

#: Schedules of one transaction.
PAGE = 1000

_LOWEST = UUID(int=0)


class ZoneRules:
    """The rules that this process plans with. It moves schedules that have other ones."""

    def __init__(self, engine: Engine, *, lookahead: timedelta) -> None:
        self._engine = engine
        self._lookahead = lookahead

    def adopt(self) -> None:
        """Move every schedule that other rules than today's have computed (see the module)."""
        digest = files.digest()
        with transaction(self._engine) as connection:
            before = zone_rules.adopted(connection)
            if before is not None and before.digest == digest:
                return
            zone_rules.store(connection, digest, version=files.VERSION, archive=files.archive())
            former = _Former(zone_rules.archives(connection), before)
        _log.info("time zone database changes", before=former.version, after=files.VERSION)
        marks, after, count = files.marks(), _LOWEST, 0
        while True:
            with transaction(self._engine) as connection:
                until = zone_rules.page_end(connection, after=after, size=PAGE)
                if until is None:
                    zone_rules.adopt(connection, digest, now=clock.now())
                    break
                rows = zone_rules.outdated_between(
                    connection, after=after, until=until, marks=marks
                )
                count += self._move(connection, rows, former)
            failpoints.hit("zone_rules.page")
            after = until
        _log.info("time zone database adopted", version=files.VERSION, moved_jobs=count)

    def refresh(self, connection: Connection, job_ids: Sequence[UUID]) -> bool:
        """Move schedules that a plan found to have another mark than today's.

        False if the installation has adopted another database than that of this process, whose
        schedules these may be.
        """
        current = zone_rules.adopted(connection)
        if current is not None and current.digest != files.digest():
            _log.warning(
                "schedules left to others: they follow another time zone database",
                schedules=len(job_ids),
                own=files.VERSION,
                adopted=current.version,
            )
            return False
        former = _Former(zone_rules.archives(connection), current)
        rows = zone_rules.outdated_of(connection, job_ids, marks=files.marks())
        self._move(connection, rows, former)
        return True

    def _move(self, connection: Connection, rows: Sequence[Row[Any]], former: "_Former") -> int:
        """Move locked schedules, and return how many have another instant now."""
        now = clock.now()
        horizon = now + self._lookahead
        known: dict[tuple[Any, ...], datetime | None] = {}
        corrections, details = [], {}
        for row in rows:
            after = _instant_of(row, former, horizon=horizon, known=known)
            corrections.append(Correction(row.job_id, after, files.mark(row.timezone)))
            if after != row.next_run_at:
                details[row.workspace_id, row.job_id] = _detail(row, after, former)
        zone_rules.correct(connection, corrections)
        audit.append_automatic(
            connection, action=zone_rules.ACTION, subject_type="job", details=details, now=now
        )
        return len(details)


class _Former:
    """The rules of before, by their marks."""

    def __init__(self, archives: Sequence[bytes], before: Adopted | None) -> None:
        self.version = None if before is None else before.version
        self._files: dict[int, bytes] = {}
        for each in archives:
            self._files |= files.unpacked(each)
        self._zones: dict[tuple[int | None, str], ZoneInfo | None] = {}

    def zone(self, mark: int | None, name: str) -> ZoneInfo | None:
        """Return the zone whose rules have this mark, or None if they are unknown."""
        key = mark, name
        if key not in self._zones:
            file = files.of_system(name) if mark is None else self._files.get(mark)
            if file is None and mark is None:
                file = files.content(name)
            self._zones[key] = None if file is None else files.load(file, name)
        return self._zones[key]


def _instant_of(
    row: Row[Any],
    former: _Former,
    *,
    horizon: datetime,
    known: dict[tuple[Any, ...], datetime | None],
) -> datetime | None:
    """Return the next instant of a schedule, memoised because many jobs share theirs.

    A schedule that cannot be followed stays as it is: plan fails its job.
    """
    try:
        schedule = schedule_of(row.job_id, row._mapping)  # noqa: SLF001 - public in spite of its name
        key = schedule, row.next_run_at, row.zone_rules
        if key not in known:
            old = former.zone(row.zone_rules, row.timezone)
            known[key] = instant_by_new_rules(schedule, row.next_run_at, old=old, horizon=horizon)
        return known[key]
    except (ArithmeticError, ValueError, ChronosError):
        _log.exception("schedule cannot be followed", job_id=str(row.job_id))
        instant: datetime = row.next_run_at
        return instant


def _detail(row: Row[Any], after: datetime | None, former: _Former) -> Mapping[str, Any]:
    """Return the details of the audit entry of a job that moved."""
    return {
        "name": row.name,
        "timezone": row.timezone,
        "before": {
            "next_run_at": clock.rfc3339(row.next_run_at),
            "timezone_database": former.version if row.zone_rules is not None else "the system's",
        },
        "after": {
            "next_run_at": None if after is None else clock.rfc3339(after),
            "timezone_database": files.VERSION,
        },
    }

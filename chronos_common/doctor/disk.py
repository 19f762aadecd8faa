"""The disk of PostgreSQL: what the history takes, what it will take, and when the disk is full."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from chronos_common.clock import DAY
from chronos_common.doctor.findings import Finding, fine, problem, warning
from chronos_common.storage.executions import partitions
from chronos_common.storage.postgres.database import transaction

#: A shorter time says little about a day.
LEAST_MEASURED = timedelta(hours=1)

#: A disk that lasts longer than this is no finding.
WARN_DAYS = 30
#: Nobody adds a disk sooner.
PROBLEM_DAYS = 3

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))


@dataclass(frozen=True, slots=True)
class Growth:
    """The bytes of the history, now and for each day, and those of all days that are kept."""

    bytes: int
    bytes_per_day: float
    bytes_when_full: float

    def days_until_full(self, free_bytes: int) -> float | None:
        """Return after how many days the disk is full. None if the retention ends it before."""
        if not self.bytes_per_day or self.bytes + free_bytes >= self.bytes_when_full:
            return None
        return free_bytes / self.bytes_per_day


def growth(
    sizes: Mapping[date, int], *, first: datetime | None, retention: timedelta, now: datetime
) -> Growth:
    """Return the growth by the ``sizes`` of the days and the ``first`` occurrence of today.

    The rate is that of yesterday or of today, whichever is higher.
    """
    today = now.astimezone(UTC).date()
    rates = [float(sizes.get(today - DAY, 0))]
    if first is not None and now - first >= LEAST_MEASURED:
        rates.append(sizes.get(today, 0) * (DAY / (now - first)))
    total, rate = sum(sizes.values()), max(rates)
    # The days that are kept, and the one that is under way.
    return Growth(total, rate, max(total, rate * (retention / DAY + 1)))


def disk(
    engine: Engine, *, retention: timedelta, now: datetime, folder: Path | None = None
) -> Iterator[Finding]:
    """Check whether the disk lasts. It is known if ``folder`` is on PostgreSQL's disk."""
    with transaction(engine) as connection:
        found = growth(
            partitions.sizes(connection),
            first=partitions.first_of(connection, now.astimezone(UTC).date()),
            retention=retention,
            now=now,
        )
    says = (
        f"The history takes {_shown(found.bytes)} and grows by {_shown(found.bytes_per_day)} a "
        f"day; with {retention.days} days kept it will take {_shown(found.bytes_when_full)}."
    )
    if folder is None:
        yield fine("disk", f"{says} How much is free is known at PostgreSQL's host.")
        return
    free = shutil.disk_usage(folder).free
    says += f" {_shown(free)} are free."
    days = found.days_until_full(free)
    if days is None or days > WARN_DAYS:
        yield fine("disk", says)
        return
    report = problem if days <= PROBLEM_DAYS else warning
    yield report(
        "disk",
        f"At this rate the disk is full in {days:.0f} days. {says}",
        "Give PostgreSQL a larger disk, keep the history for a shorter time "
        "(CHRONOS_RETENTION_DAYS), or let jobs run less often.",
    )


def _shown(size: float) -> str:
    unit, name = next((each for each in _UNITS if size >= each[0]), _UNITS[-1])
    return f"{size / unit:,.1f} {name}"

"""Time zones, and which instants a wall clock's reading stands for.

A zone's clock is put forward and back. A reading that was jumped over stands for no instant, one
that came twice stands for two. The functions follow the offsets of the IANA database. So they hold
for half-hour changes, changes at midnight and skipped days as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from chronos_common.clock import DAY, SECOND
from chronos_common.domain.timezones import files
from chronos_common.domain.timezones import names as zone_names
from chronos_common.errors import Invalid


def check_timezone(name: str) -> str:
    """Return ``name`` if it is a zone of the IANA database, spelled as there.

    Raises :class:`Invalid` for the field ``timezone``, with the name that was probably meant.
    """
    if not isinstance(name, str):
        raise Invalid({"timezone": ["Must be a string like 'Europe/Berlin'."]})
    if name not in files.names():
        raise Invalid({"timezone": [zone_names.fault(name)]})
    return name


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return the zone, by the rules of the database that this process follows."""
    return files.load(files.content(check_timezone(name)), name)


@dataclass(frozen=True, slots=True)
class Repetition:
    """The readings from ``start`` up to, not including, ``end`` come twice."""

    start: datetime
    end: datetime


def instants_of(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the instants, none, one or two, at which clocks in ``zone`` show ``wall``."""
    early, late = _both(wall, zone)
    before, after = early.utcoffset(), late.utcoffset()
    if before == after:
        return (early.astimezone(UTC),)
    if before is not None and after is not None and before > after:
        return early.astimezone(UTC), late.astimezone(UTC)
    return ()


def end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after the gap that swallowed ``wall``."""
    # Inside a gap, the earlier offset gives the later instant (PEP 495).
    late, early = _both(wall, zone)
    return _change_between(early.astimezone(UTC), late.astimezone(UTC), zone)


def repetition_at(local: datetime) -> Repetition | None:
    """Return the readings that come twice around ``local``, if it is one of them."""
    zone = local.tzinfo
    if not isinstance(zone, ZoneInfo):
        raise TypeError("local must be in a ZoneInfo")
    early, late = local.replace(fold=0), local.replace(fold=1)
    before, after = early.utcoffset(), late.utcoffset()
    if before == after or before is None or after is None:
        return None
    change = _change_between(early.astimezone(UTC), late.astimezone(UTC), zone)
    naive_change = change.replace(tzinfo=None)
    return Repetition(start=naive_change + after, end=naive_change + before)


def changes_between(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the instants in (``after``, ``until``] from which on the clocks stand otherwise.

    Two changes within a day that undo each other are not found.
    """
    low = after.astimezone(UTC).replace(microsecond=0)
    while low < until:
        high = min(low + DAY, until)
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            yield _change_between(low, high, zone)
        low = high


def _both(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return ``wall`` with the offset before, and with the one after a change around it."""
    return wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)


def _change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after ``low`` that has the offset of ``high``.

    There is no change of offset to ask ``zoneinfo`` for, so this halves the time in between.
    """
    offset = low.astimezone(zone).utcoffset()
    while high - low > SECOND:
        middle = low + (high - low) // (2 * SECOND) * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high

"""When a job is due: once, at an interval, or by a cron expression.

All instants are in UTC and whole milliseconds, the resolution of execution ids. The instants
follow from the fields alone, so a restart changes nothing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TypeVar
from uuid import UUID

from chronos_common.clock import MICROSECOND, MILLISECOND
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.schedules import humanize

MAX_INTERVAL_SECONDS = 31_536_000
MAX_JITTER_SECONDS = 3600

_DAY_SECONDS = 86_400

T = TypeVar("T")


class ScheduleKind(StrEnum):
    """How a schedule names its instants."""

    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due. ``fields`` makes checked ones.

    ``anchor`` is the instant of ``once``, and the first one of ``interval``, whose others follow
    every ``interval_seconds``. ``cron`` has none. ``timezone`` and ``day_match`` matter to it
    alone. ``jitter`` shifts every instant by the same offset. ``starts_at`` and ``ends_at`` bound
    the shifted instants, both inclusively.
    """

    kind: ScheduleKind
    expression: str | None = None
    timezone: str = "UTC"
    interval_seconds: int | None = None
    anchor: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    day_match: DayMatch = DayMatch.ANY
    jitter: timedelta = timedelta(0)

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant strictly after ``moment``, or None if there is none.

        Asked with the instant at which the schedule was made or changed, this is the first
        ``next_run_at``. Raises :class:`Invalid` for an expression or zone that is not understood.
        """
        try:
            instant = self._next_unbounded(moment)
        except OverflowError:  # past the calendar's end
            return None
        if instant is None or (self.ends_at is not None and instant > self.ends_at):
            return None
        return instant

    def first_at_or_after(self, moment: datetime) -> datetime | None:
        """Return the first instant that is not before ``moment``, or None if there is none."""
        return self.next_after(moment - MICROSECOND)

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """Return the first ``count`` instants strictly after ``after``, or all there are."""
        return list(islice(self._instants_after(after), count))

    def instants_between(self, after: datetime, until: datetime, limit: int) -> Iterator[datetime]:
        """Yield the instants in (``after``, ``until``], but not more than the first ``limit``."""
        for instant in islice(self._instants_after(after), limit):
            if instant > until:
                return
            yield instant

    def describe(self) -> str:
        """Return in plain English the instants that :meth:`next_after` finds."""
        match self.kind:
            case ScheduleKind.CRON:
                words = cron.describe(_set(self.expression), self.day_match)
                text = f"{words} ({self.timezone})"
                if self.jitter:
                    text += f", delayed by {humanize.duration(self.jitter)} of jitter"
            case ScheduleKind.INTERVAL:
                every = humanize.every(_set(self.interval_seconds)).capitalize()
                text = f"{every}, from {humanize.moment(self._first_of_interval())}{self._shift()}"
            case ScheduleKind.ONCE:
                text = (
                    f"Once, at {humanize.moment(_set(self.anchor) + self.jitter)}{self._shift()}"
                )
        if self.starts_at is not None and self.kind is not ScheduleKind.INTERVAL:
            text += f", from {humanize.moment(self.starts_at)}"
        if self.ends_at is not None:
            text += f", until {humanize.moment(self.ends_at)}"
        return text

    def _first_of_interval(self) -> datetime:
        """Return the instant from which an interval is counted, starts_at and jitter included."""
        shifted = _set(self.anchor) + self.jitter
        return replace(self, ends_at=None).first_at_or_after(shifted) or shifted

    def _shift(self) -> str:
        return f" ({humanize.duration(self.jitter)} of jitter included)" if self.jitter else ""

    def _next_unbounded(self, moment: datetime) -> datetime | None:
        if self.starts_at is not None:
            moment = max(moment, self.starts_at - MICROSECOND)
        instant = self._next_unshifted(moment - self.jitter)
        return None if instant is None else instant + self.jitter

    def _next_unshifted(self, moment: datetime) -> datetime | None:
        if self.kind is ScheduleKind.CRON:
            return cron.next_after(_set(self.expression), self.timezone, moment, self.day_match)
        anchor = _set(self.anchor).astimezone(UTC)
        if self.kind is ScheduleKind.ONCE or anchor > moment:
            return anchor if anchor > moment else None
        interval = timedelta(seconds=_set(self.interval_seconds))
        return anchor + ((moment - anchor) // interval + 1) * interval

    def _instants_after(self, moment: datetime) -> Iterator[datetime]:
        instant = self.next_after(moment)
        while instant is not None:
            yield instant
            instant = self.next_after(instant)


def runs_per_day(kind: str, expression: str | None, interval_seconds: int | None) -> int:
    """Return how many runs a schedule plans in a day on which it runs, at least one.

    None are counted of ``once``, nor of an expression that cannot be read.
    """
    if kind == ScheduleKind.INTERVAL and interval_seconds:
        return -(-_DAY_SECONDS // interval_seconds)
    if kind == ScheduleKind.CRON and expression:
        return cron.times_per_day(expression)
    return 0


def jitter_of(job_id: UUID, jitter_seconds: float) -> timedelta:
    """Return the offset of ``job_id``: fixed, whole milliseconds in [0, ``jitter_seconds``).

    It is hashed from the id, so that jobs made at once do not run at once.
    """
    milliseconds = int(jitter_seconds * 1000)
    if milliseconds < 1:
        return timedelta(0)
    digest = hashlib.blake2b(job_id.bytes, digest_size=8).digest()
    return int.from_bytes(digest, "big") % milliseconds * MILLISECOND


def _set(value: T | None) -> T:
    """Return a field that this kind of schedule always has."""
    if value is None:
        raise ValueError("a schedule lacks the expression, interval or anchor of its kind")
    return value

"""The log of cron, compared with what the jobs of an imported crontab recorded."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_client.importers.outcome import SourceUnreadable

#: A start in syslog or journalctl, as Debian's cron and cronie write it.
_START = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} +\d+ [\d:]{8}) \S+ CROND?\[\d+\]: "
    r"(?:\(\S+\) )?CMD \((?P<command>.*)\)"
)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CronStart:
    """A command that cron started, and the minute in which it did."""

    minute: datetime
    command: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The minutes in which cron started a command, and those that its jobs recorded."""

    command: str
    jobs: Sequence[str]
    in_cron: frozenset[datetime]
    recorded: frozenset[datetime]

    @property
    def only_in_cron(self) -> list[datetime]:
        """The minutes that no job recorded, in order."""
        return sorted(self.in_cron - self.recorded)

    @property
    def only_recorded(self) -> list[datetime]:
        """The minutes in which cron did not start it, in order."""
        return sorted(self.recorded - self.in_cron)

    @property
    def document(self) -> Mapping[str, Any]:
        """The comparison for programs."""
        return {
            "command": self.command,
            "jobs": list(self.jobs),
            "in_cron": len(self.in_cron),
            "recorded": len(self.recorded),
            "only_in_cron": [each.isoformat() for each in self.only_in_cron],
            "only_recorded": [each.isoformat() for each in self.only_recorded],
        }


def read(text: str, *, now: datetime) -> list[CronStart]:
    """Return the starts in a log, in order. Raises :class:`SourceUnreadable` if there is none.

    Times without an offset are in this machine's zone, and those without a year in the year
    before ``now``.
    """
    starts = [
        # Debian's cron leaves blanks that stand between the user and the command.
        CronStart(_minute_of(match["at"], now), match["command"].strip())
        for match in map(_START.match, text.splitlines())
        if match
    ]
    if not starts:
        raise SourceUnreadable(
            "The log has no line like 'Dec  1 09:05:01 host CRON[12]: (root) CMD (...)'."
        )
    return sorted(starts, key=lambda each: each.minute)


def _minute_of(text: str, now: datetime) -> datetime:
    try:
        if text[0].isdecimal():
            at = datetime.fromisoformat(text).astimezone(UTC)
        else:
            at = _in_year(text, now.year)
            at = _in_year(text, now.year - 1) if at > now + _DAY else at
    except ValueError as error:
        raise SourceUnreadable(f"The log has a time that is none: {text!r}.") from error
    return minute(at)


def _in_year(text: str, year: int) -> datetime:
    local = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - see below
    return local.astimezone(UTC)  # of this machine's zone


def minute(at: datetime) -> datetime:
    """Return the beginning of the minute of an instant, in UTC."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def compare(
    jobs_of: Mapping[str, Sequence[str]],
    starts: Sequence[CronStart],
    recorded: Mapping[str, frozenset[datetime]],
) -> tuple[list[Comparison], datetime, datetime]:
    """Return the comparison of each command that has jobs, and the minutes of its window.

    ``recorded`` has the minutes of each job by its name. The window begins after the first minute
    of both, and ends before the last one of the log: those may be incomplete.
    """
    minutes = [each for of_job in recorded.values() for each in of_job]
    first = max(starts[0].minute, min(minutes, default=starts[0].minute)) + _MINUTE
    last = starts[-1].minute - _MINUTE

    in_cron: defaultdict[str, set[datetime]] = defaultdict(set)
    for each in starts:
        in_cron[each.command].add(each.minute)

    def within(found: Iterable[datetime]) -> frozenset[datetime]:
        return frozenset(each for each in found if first <= each <= last)

    compared = [
        Comparison(
            command,
            jobs,
            within(in_cron[command]),
            within(each for job in jobs for each in recorded.get(job, ())),
        )
        for command, jobs in jobs_of.items()
    ]
    return [each for each in compared if each.in_cron or each.recorded], first, last

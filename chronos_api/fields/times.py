"""Times as RFC 3339 writes them, and explanations of wrong ones.

Other forms of ISO 8601, such as a time without seconds, are read as well if they name one moment.
"""

import calendar
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite

_LACKS_OFFSET = "Lacks its offset; end it with Z for UTC, or with one like +01:00."
_EXAMPLE = "write it like '2026-07-01T09:00:00Z'"

#: RFC 3339, section 5.6, with the space that its note permits. Letters may be small.
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"[Tt ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(\.(?P<fraction>\d+))?"
    r"(?P<offset>[Zz]|(?P<sign>[+\-])(?P<hours>\d\d):(?P<minutes>\d\d))?",
    re.ASCII,
)
#: Where seconds since 1970 would be in the year 5138, they are milliseconds.
_MILLISECONDS_FROM = 10**11

_LEAP_SECOND = 60

#: Longer texts are no mistyped times.
_LONGEST_EXPLAINED = 64


class WrongTime(ValueError):
    """The reason, and the remedy."""


def parse(text: str) -> datetime:
    """Return the moment in UTC, to the microsecond. Raises :class:`WrongTime`.

    A leap second is the same moment as the second after it, as on Unix' clock.
    """
    parts = _TIME.fullmatch(text)
    try:
        return _moment(parts) if parts else _of_iso_8601(text)
    except OverflowError as error:
        raise WrongTime("Lies beyond the calendar's years, 1 to 9999.") from error


def number_fault(value: float) -> str:
    """Explain the fault of a number in the place of a time."""
    if not isfinite(value):
        return f"Is a number, not a time; {_EXAMPLE}."
    milliseconds = abs(value) >= _MILLISECONDS_FROM
    unit = "milliseconds" if milliseconds else "seconds"
    try:
        moment = datetime.fromtimestamp(value / 1000 if milliseconds else value, UTC)
    except (ValueError, OverflowError, OSError):
        return f"Is a number, not a time; {_EXAMPLE}."
    shown = moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    return f"Is a number, not a time; if it counts {unit} since 1970, write '{shown}'."


def _moment(parts: re.Match[str]) -> datetime:
    year, month, day = (int(parts[name]) for name in ("year", "month", "day"))
    hour, minute, second = (int(parts[name]) for name in ("hour", "minute", "second"))
    _check_date(year, month, day)
    _check_clock(hour, minute, second)
    if parts["offset"] is None:
        raise WrongTime(_LACKS_OFFSET)
    # The fraction is cut off behind the microseconds: rounding could reach the next second.
    microsecond = int((parts["fraction"] or "")[:6].ljust(6, "0"))
    leaps = second == _LEAP_SECOND
    local = datetime(year, month, day, hour, minute, second - leaps, microsecond, UTC)
    moment = local - _offset(parts)
    return _after_leap(moment) if leaps else moment


def _check_date(year: int, month: int, day: int) -> None:
    if not year:
        raise WrongTime("There is no year 0.")
    if not 1 <= month <= 12:  # noqa: PLR2004 - months of a year
        raise WrongTime(f"There is no month {month:02}; months are 01 to 12.")
    last = calendar.monthrange(year, month)[1]
    if not 1 <= day <= last:
        name = f"{calendar.month_name[month]} {year}"
        raise WrongTime(f"There is no day {day:02}; {name} has the days 01 to {last}.")


def _check_clock(hour: int, minute: int, second: int) -> None:
    for name, value, last in (("hour", hour, 23), ("minute", minute, 59)):
        if value > last:
            raise WrongTime(f"There is no {name} {value}; {name}s are 00 to {last}.")
    if second > _LEAP_SECOND:
        raise WrongTime(f"There is no second {second}; seconds are 00 to 59.")


def _offset(parts: re.Match[str]) -> timedelta:
    if parts["sign"] is None:
        return timedelta(0)
    hours, minutes = int(parts["hours"]), int(parts["minutes"])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - RFC 3339, section 5.6
        raise WrongTime(f"There is no offset {parts['offset']}; they end at 23:59.")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if parts["sign"] == "-" else offset


def _after_leap(before: datetime) -> datetime:
    """Return the moment behind a leap second, given the same fraction of the second before it."""
    after = before + timedelta(seconds=1)
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise WrongTime(
            "There is no second 60 here; a leap second ends a month of UTC, at 23:59:60Z."
        )
    return after


def _of_iso_8601(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise WrongTime(_fault(text, moment))
    return moment.astimezone(UTC)


def _fault(text: str, naive: datetime | None) -> str:
    """Explain the fault of a text that names no moment."""
    if len(text) <= _LONGEST_EXPLAINED:
        for form, explain in _FORMS:
            found = form.fullmatch(text)
            if found:
                return explain(found)
    if naive is not None:
        return _LACKS_OFFSET
    return f"Is not a time of RFC 3339; {_EXAMPLE}."


def _date_fault(found: re.Match[str]) -> str:
    try:
        _check_date(*map(int, found[0].split("-")))
    except WrongTime as error:
        return str(error)
    return f"Is a date without a time; write it like '{found[0]}T09:00:00Z'."


def _zone_fault(found: re.Match[str]) -> str:
    return (
        f"Has {found[1]!r} in place of an offset; end it with Z for UTC, or with one like +01:00."
    )


#: Usual mistakes. The first one that matches counts.
_FORMS: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(r"\s*"), lambda _: f"Is empty; {_EXAMPLE}."),
    (re.compile(r"\s.*|.*\s", re.DOTALL), lambda _: f"Has white space around it; {_EXAMPLE}."),
    (re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), _date_fault),
    (
        re.compile(r".*\d[Tt ]\d\d:\d\d.* \d\d:?\d\d", re.ASCII),
        lambda _: "Has a space where its offset begins; in a URL '+' means a space: write %2B.",
    ),
    (re.compile(r"[+\-]?\d+(\.\d+)?", re.ASCII), lambda found: number_fault(float(found[0]))),
    (re.compile(r".*\d:\d\d.*?[ \[]?([A-Za-z_]{3,}(/\w+)*)\]?", re.ASCII), _zone_fault),
]

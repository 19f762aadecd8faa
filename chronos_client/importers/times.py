"""Times of other schedulers: cron expressions, intervals, and how their days go together."""

import re
from datetime import UTC, datetime

from chronos_client.importers.outcome import Draft, LeftOut, expect

LONGEST_INTERVAL = 31_536_000
LONGEST_TIMEOUT = 300

MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)
_BOUNDS = {
    "second": (0, 59, []),
    "minute": (0, 59, []),
    "hour": (0, 23, []),
    "day of month": (1, 31, []),
    "month": (1, 12, _MONTHS),
    "day of week": (0, 7, _WEEKDAYS),
}  # type: dict[str, tuple[int, int, list[str]]]

#: The names of the five fields, in their order.
FIELDS = tuple(_BOUNDS)[1:]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def classic(expression: str) -> str:
    """Return an expression of five fields, or a macro, that every cron reads alike.

    Raises :class:`LeftOut` for other forms, with the reason.
    """
    fields = expression.split()
    if len(fields) == 1 and fields[0].lower() in MACROS:
        return fields[0].lower()
    if len(fields) != len(FIELDS):
        raise LeftOut(f"{expression!r} is not a cron expression of five fields.")
    for name, text in zip(FIELDS, fields, strict=True):
        check_field(name, text)
    return " ".join(fields)


def check_field(name: str, text: str) -> None:
    """Raise :class:`LeftOut` unless a field has values, ranges, steps and lists alone."""
    low, high, names = _BOUNDS[name]
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise LeftOut(f"The {name} {item!r} has no form that Chronos reads alike.")
        ends = [_value(each, low, names) for each in match.groups()[:2] if each is not None]
        if any(each is None or not low <= each <= high for each in ends):
            raise LeftOut(f"The {name} {item!r} is outside {low}-{high}.")
        if ends != sorted(ends, key=lambda each: each or 0):
            raise LeftOut(f"The {name} {item!r} is a range that goes backwards.")
        if match[3] is not None and int(match[3]) == 0:
            raise LeftOut(f"The {name} {item!r} has a step of 0.")


def _value(text: str, low: int, names: list[str]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.upper()) + low if text.upper() in names else None


def unwrapped(name: str, text: str) -> str:
    """Return a field in which lists stand for ranges over the end, such as ``FRI-MON``."""
    return ",".join(_unwrapped_item(name, each) for each in text.split(","))


def _unwrapped_item(name: str, item: str) -> str:
    low, high, names = _BOUNDS[name]
    match = _ITEM.fullmatch(item)
    if match is None or match[2] is None:
        return item
    first, last = _value(match[1], low, names), _value(match[2], low, names)
    if first is None or last is None or first <= last:
        return item
    if name == "day of week":
        high = 6  # 7 is Sunday once more
    numbers = [*range(first, high + 1), *range(low, last + 1)]
    return ",".join(map(str, numbers[:: int(match[3] or 1)]))


def either_day(expression: str) -> str:
    """Return an expression that means the days as Go's cron library reads them.

    There only a ``*`` without a step leaves a day field open, also in a list. ``*/2`` restricts
    it, so either field will do. In Chronos a field that begins with ``*`` makes both count, and
    ``1-31/2`` means the other.
    """
    fields = expression.replace("?", "*").split()
    if len(fields) != len(FIELDS):
        return expression
    fields[2], fields[4] = map(_opened, (fields[2], fields[4]))
    if "*" not in (fields[2], fields[4]):
        fields[2] = re.sub(r"(?<![^,])\*(?=/)", "1-31", fields[2])
        fields[4] = re.sub(r"(?<![^,])\*(?=/)", "0-6", fields[4])
    return " ".join(fields)


def _opened(field: str) -> str:
    """Return ``*`` for a list that names every day without a step."""
    return "*" if {"*", "*/1"} & {*field.split(",")} else field


def duration(text: str) -> float:
    """Return the seconds of a duration like ``1h30m``. Raises :class:`LeftOut`."""
    parts = _DURATION.findall(text.strip())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise LeftOut(f"{text!r} is not a duration.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def set_interval(
    draft: Draft, seconds: float, *, counts_from: str, starts_at: str | None = None
) -> None:
    """Make the job run at an interval, from ``starts_at`` or from its creation on.

    Raises :class:`LeftOut` if it cannot be said.
    """
    if seconds != int(seconds) or not 1 <= seconds <= LONGEST_INTERVAL:
        raise LeftOut(
            f"An interval of {seconds:g} s cannot be said: whole seconds from 1 to "
            f"{LONGEST_INTERVAL} can."
        )
    draft.set(schedule_type="interval", interval_seconds=int(seconds), starts_at=starts_at)
    if starts_at is None:
        draft.note(
            "phase",
            f"The source counts its interval from {counts_from}. The job's first run is one "
            "interval after it is created. starts_at sets another phase.",
        )


def set_cron(
    draft: Draft, expression: str, timezone: str | None, *, day_match: str | None = None
) -> None:
    """Make the job run by a cron expression. Without a zone the job says UTC."""
    draft.set(
        schedule_type="cron",
        cron_expression=expression,
        timezone=expect(timezone or "UTC", str, "The time zone"),
        day_match=day_match,
    )


def set_zone_of_machine(draft: Draft, default: str | None) -> None:
    """Use the zone that the user named for a source that is read in its machine's zone."""
    draft.set(timezone=default or "UTC")
    if default is None:
        draft.lacks(
            "time zone",
            "Its times are in a zone that it does not name. UTC is written. Give --timezone.",
        )


def set_timeout(draft: Draft, seconds: float | None, *, what: str) -> None:
    """Bound an attempt. None is a source without a bound. Raises :class:`LeftOut`."""
    if isinstance(seconds, bool):
        raise LeftOut(f"{what} is not a number.")
    if seconds is None or seconds > LONGEST_TIMEOUT:
        limit = "no limit" if seconds is None else f"{seconds:g} s"
        draft.lacks(what, f"It has {limit}, and an attempt may take {LONGEST_TIMEOUT} s at most.")
        seconds = LONGEST_TIMEOUT
    if seconds <= 0:
        raise LeftOut(f"{what} of {seconds:g} s is no time.")
    draft.set(timeout_seconds=max(seconds, 0.1))


def instant(text: str, what: str) -> datetime:
    """Return an instant of ISO 8601. Without an offset it is in UTC. Raises :class:`LeftOut`."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise LeftOut(f"{what} is not an instant: {text!r}.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def written(moment: datetime) -> str:
    """Return an instant as a file says it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

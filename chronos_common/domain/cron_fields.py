"""The fields of a cron expression: what users write, as the plain numbers that croniter gets.

Ranges, steps and names are spelled out here, because croniter reads some of them in ways of its
own: ``5-5`` as the whole hour, ``23-4/2`` without the 1, ``R`` differently in every process.
"""

import re
from dataclasses import dataclass


class WrongField(ValueError):
    """What is wrong with a field, and the remedy."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its values, the words for them (the first means ``low``), and its own syntax.

    ``span`` is how many different values there are; a higher one comes round again, as 7 does for
    Sunday.
    """

    name: str
    low: int
    high: int
    span: int
    words: str = ""
    hint: str = ""

    def value(self, text: str, item: str) -> int:
        """Return the number that ``text``, a part of ``item``, stands for."""
        words = self.words.split()
        if text in words:
            return self.low + words.index(text)
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if not self.low <= number <= self.high:
            raise self.wrong(item)
        return number

    def wrong(self, item: str) -> WrongField:
        """Return the error for ``item``, which is not of this field."""
        words = f" or {self.words[:3]}-{self.words[-3:]}" if self.words else ""
        return WrongField(
            f"The {self.name} {item!r} is not understood; use {self.low}-{self.high}{words}, '*', "
            f"lists like 1,3, ranges like 1-5 and steps like */2{self.hint}."
        )


SECOND = Field("second", 0, 59, 60)
MINUTE = Field("minute", 0, 59, 60)
HOUR = Field("hour", 0, 23, 24)
DAY = Field("day of month", 1, 31, 31, hint=", L for the last day, 15W for the nearest weekday")
MONTH = Field("month", 1, 12, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
WEEKDAY = Field(
    "day of week",
    0,
    7,
    7,
    "SUN MON TUE WED THU FRI SAT",
    hint=", FRI#2 for the second Friday, 5L for the last one (0 and 7 are Sunday)",
)

_ITEM = re.compile(r"(?P<low>\*|\w+)(-(?P<high>\w+))?(/(?P<step>\d+))?", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"(\d{1,2})W", re.ASCII)
_NTH = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST = re.compile(r"L([0-7])|([0-7]|[A-Z]{3})L", re.ASCII)
_SPREAD = re.compile(r"[HR](\W|$)", re.ASCII)


def values(field: Field, text: str) -> list[int]:
    """Return the values that ``text`` names, in order."""
    return sorted({value for item in text.split(",") for value in _expand(field, item)})


def months(text: str) -> str:
    """Return the months as ``*`` or as a list of numbers."""
    return "*" if text == "*" else ",".join(map(str, values(MONTH, text)))


def days(text: str) -> str:
    """Return the days of month as ``*``, as a list of numbers and ``L``, or as ``15W``."""
    if text in {"*", "?"}:
        return "*"
    nearest = _NEAREST_WEEKDAY.fullmatch(text)
    if nearest:
        return f"{DAY.value(nearest[1], text)}W"
    items = text.split(",")
    if any(_NEAREST_WEEKDAY.fullmatch(item) for item in items):
        raise WrongField(f"The day of month {text!r} is not understood; W does not go in lists.")
    plain = {value for item in items if item != "L" for value in _expand(DAY, item)}
    return ",".join([*map(str, sorted(plain)), *(["L"] if "L" in items else [])])


def weekdays(text: str) -> list[str]:
    """Return the days of week as one or two fields; a day that either one names is meant.

    croniter refuses lists that hold both ``FRI`` and ``MON#2``, so these come apart.
    """
    if text in {"*", "?"}:
        return ["*"]
    plain: set[int] = set()
    within_month: list[str] = []
    for item in text.split(","):
        special = _within_month(item)
        if special:
            within_month.append(special)
        else:
            plain.update(_expand(WEEKDAY, item))
    return [",".join(group) for group in ([*map(str, sorted(plain))], within_month) if group]


def _within_month(item: str) -> str | None:
    """Return ``FRI#2`` as ``5#2`` and ``FRIL`` or ``5L`` as ``L5``."""
    nth = _NTH.fullmatch(item)
    if nth:
        return f"{WEEKDAY.value(nth[1], item) % WEEKDAY.span}#{nth[2]}"
    last = _LAST.fullmatch(item)
    if last:
        return f"L{WEEKDAY.value(last[1] or last[2], item) % WEEKDAY.span}"
    return None


def _expand(field: Field, item: str) -> list[int]:
    """Return the values of one item of a list: a value, a range or a step."""
    if _SPREAD.match(item):
        raise WrongField(f"{item!r} is not supported; spread jobs with jitter_seconds instead.")
    parts = _ITEM.fullmatch(item)
    if parts is None or (parts["low"] == "*" and parts["high"]):
        raise field.wrong(item)
    first, last = _bounds(field, item, parts)
    named = range(first, last + 1, _step(field, parts["step"]))
    return [field.low + (value - field.low) % field.span for value in named]


def _bounds(field: Field, item: str, parts: re.Match[str]) -> tuple[int, int]:
    """Return the ends of a range; one that goes over the end, like FRI-MON, counts on."""
    end = field.low + field.span - 1
    if parts["low"] == "*":
        return field.low, end
    first = field.value(parts["low"], item)
    if parts["high"]:
        last = field.value(parts["high"], item)
        return first, last if first <= last else last + field.span
    return first, max(first, end) if parts["step"] else first


def _step(field: Field, text: str | None) -> int:
    step = int(text or 1)
    if not 1 <= step <= field.span:
        raise WrongField(
            f"The step /{step} does not fit the {field.name}; use 1-{field.span}, or "
            "schedule_type 'interval' for a rhythm of its own."
        )
    return step

"""The fields of a cron expression: the values that the text of each field names.

Ranges, steps and names are spelled out here, because croniter reads some of them in ways of its
own. It takes ``5-5`` for the whole hour, and any list of 31 days for ``*``. It reads ``23-4/2``
without the 1, and ``R`` differently in every process.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T", int, tuple[int, int])


class WrongField(ValueError):
    """A field is wrong. The message has the remedy."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its values, the words for them (the first means ``low``), and its own syntax.

    ``span`` is the number of different values. A higher one comes round again, as 7 does for
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
        if not item:
            return WrongField(f"The {self.name} has a comma without a value; remove the comma.")
        if not item.isascii():
            return WrongField(f"The {self.name} {item!r} {_foreign_character(item)}.")
        words = f" or {self.words[:3]}-{self.words[-3:]}" if self.words else ""
        return WrongField(
            f"The {self.name} {item!r} is not understood; use {self.low}-{self.high}{words}, '*', "
            f"lists like 1,3, ranges like 1-5 and steps like */2{self.hint}."
        )


def _foreign_character(item: str) -> str:
    """Return the fault of a character that may look like another one."""
    character = next(each for each in item if not each.isascii())
    name = unicodedata.name(character, "without a name").lower()
    is_dash = unicodedata.category(character) == "Pd" or character == "\N{MINUS SIGN}"
    plain = "-" if is_dash else unicodedata.normalize("NFKC", character)
    advice = f"write {plain!r}" if plain.isascii() else "use ASCII characters alone"
    return f"has the character {character!r} ({name}); {advice}"


SECOND = Field("second", 0, 59, 60)
MINUTE = Field("minute", 0, 59, 60)
HOUR = Field("hour", 0, 23, 24)
DAY = Field(
    "day of month",
    1,
    31,
    31,
    hint=", L for the last day, L-3 for three days before it, LW for the last weekday (Monday to "
    "Friday), 15W for the weekday nearest to day 15",
)
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
_FROM_END = re.compile(r"L(?:-(?P<back>\d{1,2}))?(?P<weekday>W)?", re.ASCII)
_NTH = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST = re.compile(r"L([0-7])|([0-7]|[A-Z]{3})L", re.ASCII)

#: ``L-30`` is the first day of a month of 31 days.
_FURTHEST_BACK = 30


@dataclass(frozen=True, slots=True)
class Days:
    """Days of month. A date matches if it is any of them.

    ``from_end`` counts back from the last day of the month, which is 0. ``nearest`` and
    ``nearest_from_end`` mean the weekday (Monday to Friday) of the month nearest to that day.
    """

    numbers: tuple[int, ...]
    from_end: tuple[int, ...] = ()
    nearest: tuple[int, ...] = ()
    nearest_from_end: tuple[int, ...] = ()

    @property
    def move(self) -> bool:
        """Return whether some of them are other numbers in other months."""
        return bool(self.from_end or self.nearest or self.nearest_from_end)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days of week, 0 for Sunday. A date matches if it is any of them.

    ``nth`` holds pairs: the second Friday of the month is (2, 5). ``last`` holds the weekdays
    whose last date in the month is meant.
    """

    numbers: tuple[int, ...]
    nth: tuple[tuple[int, int], ...] = ()
    last: tuple[int, ...] = ()

    @property
    def move(self) -> bool:
        """Return whether some of them depend on the month."""
        return bool(self.nth or self.last)


ALL_DAYS = Days(tuple(range(1, 32)))
ALL_MONTHS = tuple(range(1, 13))
ALL_WEEKDAYS = Weekdays(tuple(range(7)))


def values(field: Field, text: str) -> tuple[int, ...]:
    """Return the values that ``text`` names, in order."""
    return _sorted(value for item in text.split(",") for value in _expand(field, item))


def days(text: str) -> Days:
    """Return the days of month that ``text`` names."""
    plain: set[int] = set()
    from_end: set[int] = set()
    nearest: set[int] = set()
    nearest_from_end: set[int] = set()
    for item in [] if text == "?" else text.split(","):
        if match := _NEAREST_WEEKDAY.fullmatch(item):
            number = DAY.value(match[1], item)
            # Of a month that is too short, its last day is meant, so 31W is LW.
            nearest_from_end.add(0) if number == DAY.high else nearest.add(number)
        elif match := _FROM_END.fullmatch(item):
            (nearest_from_end if match["weekday"] else from_end).add(_back(match["back"]))
        else:
            plain.update(_expand(DAY, item))
    if text == "?" or len(plain) == DAY.span:
        return ALL_DAYS
    return Days(*map(_sorted, (plain, from_end, nearest, nearest_from_end)))


def weekdays(text: str) -> Weekdays:
    """Return the days of week that ``text`` names."""
    plain: set[int] = set()
    nth: set[tuple[int, int]] = set()
    last: set[int] = set()
    for item in [] if text == "?" else text.split(","):
        if match := _NTH.fullmatch(item):
            nth.add((int(match[2]), WEEKDAY.value(match[1], item) % WEEKDAY.span))
        elif match := _LAST.fullmatch(item):
            last.add(WEEKDAY.value(match[1] or match[2], item) % WEEKDAY.span)
        else:
            plain.update(_expand(WEEKDAY, item))
    if text == "?" or len(plain) == WEEKDAY.span:
        return ALL_WEEKDAYS
    return Weekdays(_sorted(plain), _sorted(nth), _sorted(last))


def _sorted(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(set(found)))


def _back(text: str | None) -> int:
    back = int(text or 0)
    if back > _FURTHEST_BACK:
        raise WrongField(
            f"The day of month 'L-{back}' is in no month; use L-1 to L-{_FURTHEST_BACK}."
        )
    return back


def _expand(field: Field, item: str) -> list[int]:
    """Return the values of one item of a list: a value, a range or a step."""
    parts = _ITEM.fullmatch(item)
    if parts is None or (parts["low"] == "*" and parts["high"]):
        raise field.wrong(item)
    first, last = _bounds(field, item, parts)
    named = range(first, last + 1, _step(field, parts["step"]))
    return [field.low + (value - field.low) % field.span for value in named]


def _bounds(field: Field, item: str, parts: re.Match[str]) -> tuple[int, int]:
    """Return the ends of a range. One that goes over the end, like FRI-MON, counts on."""
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

"""The fields of a cron expression: what users write, as the plain numbers croniter gets.

Everything is spelled out here (ranges, steps, names), because croniter reads some of it in ways
of its own: ``5-5`` as the whole hour, ``23-4/2`` without the 1, ``R`` anew in every process.
"""

import re
from dataclasses import dataclass

MAX_STEPS = "a step may have at most {span}"


class WrongField(ValueError):
    """What is wrong with a field, and the remedy."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, its bounds, and the words for its values, the first being ``low``."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    hint: str = ""

    def value(self, text: str) -> int:
        """Return the number that ``text`` stands for."""
        if text in self.words:
            return self.low + self.words.index(text)
        number = int(text) if text.isdecimal() and text.isascii() else -1
        if not self.low <= number <= self.high:
            raise self.wrong(text)
        return number

    def wrong(self, text: str) -> WrongField:
        """Return the error for ``text``, which is not of this field."""
        words = f" or {self.words[0]}-{self.words[-1]}" if self.words else ""
        return WrongField(
            f"The {self.name} {text!r} is not understood; use {self.low}-{self.high}{words}, '*', "
            f"lists (1,3), ranges (1-5) and steps (*/2){self.hint}."
        )


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of month", 1, 31, hint=", 'L' for the last day, '15W' for the nearest weekday")
MONTH = Field("month", 1, 12, tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()))
WEEKDAY = Field(
    "day of week",
    0,
    7,
    tuple("SUN MON TUE WED THU FRI SAT".split()),
    hint=", 'FRI#2' for the second Friday, '5L' for the last one; 0 and 7 are Sunday",
)

_ITEM = re.compile(r"(?P<low>\*|\w+)(-(?P<high>\w+))?(/(?P<step>\d+))?", re.ASCII)
_NEAREST_WEEKDAY = re.compile(r"(\d{1,2})W", re.ASCII)
_NTH = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST = re.compile(r"L([0-7])|([0-7]|[A-Z]{3})L", re.ASCII)
_RANDOM = re.compile(r"[HR](\(|/|$)")


def numbers(field: Field, text: str) -> str:
    """Return ``text`` as ``*`` or a list of numbers."""
    return _joined(_expand(field, item) for item in _items(field, text))


def days(text: str) -> str:
    """Return the day of month as croniter reads it: ``*``, or numbers and ``L``, or ``15W``."""
    if text == "?":
        return "*"
    nearest = _NEAREST_WEEKDAY.fullmatch(text)
    if nearest:
        return f"{DAY.value(nearest[1])}W"
    items = _items(DAY, text)
    if any(_NEAREST_WEEKDAY.fullmatch(item) for item in items):
        raise WrongField(f"The day of month {text!r} is not understood; write 'W' without a list.")
    return _joined({"L"} if item == "L" else _expand(DAY, item) for item in items)


def weekdays(text: str) -> list[str]:
    """Return the day of week as one or two fields, any of which may match.

    croniter does not know lists of both ``FRI`` and ``MON#2``, so these come apart.
    """
    if text == "?":
        return ["*"]
    plain, special = [], []
    for item in _items(WEEKDAY, text):
        within_month = _nth_or_last(item)
        if within_month:
            special.append(within_month)
        else:
            plain.append({str(int(day) % 7) if day != "*" else day for day in _expand(WEEKDAY, item)})
    return [_joined(days) for days in (plain, [{item} for item in special]) if days]

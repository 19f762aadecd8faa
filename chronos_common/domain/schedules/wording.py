"""The values of a cron expression in plain English.

The text is made from values alone, so that it names exactly those. *Every* and *Whenever* mean
that a rhythm is kept when clocks are changed, *At* that times are fixed (see ``cron``). *Every
day* and *Mondays* show that a time comes again.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise, product, takewhile
from math import prod

from chronos_common.domain.cron.dates import Dates
from chronos_common.domain.cron.fields import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, Days, Weekdays
from chronos_common.domain.schedules import humanize

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_IN_STEPS = " in steps of "
_ORDINALS = ("first", "second", "third", "fourth", "fifth")

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400  # in seconds
_SECONDS, _MINUTES, _HOURS = 60, 60, 24  # how many there are
#: Seconds, minutes and hours: the length of one, and their number.
_UNITS = ((1, _SECONDS), (_MINUTE, _MINUTES), (_HOUR, _HOURS))

#: From so many on, values are read more easily as a range, as steps.
_SHORTEST_RANGE, _SHORTEST_STEPS = 3, 5
#: Fixed times are read more easily one by one than times of a rhythm are.
_SHORTEST_FIXED, _SHORTEST_RHYTHM = 5, 3
#: Up to so many minutes of an hour are read more easily one by one.
_FEW = 4
#: Up to so many, times of day are named one by one, and spans of time.
_LONGEST_LIST, _MOST_SPANS = 8, 4

#: Seconds, minutes and hours. All combinations are meant.
Fields = tuple[Sequence[int], Sequence[int], Sequence[int]]

#: Every month has the days up to this one.
_SHORTEST_MONTH = 28


def sentence(fields: Fields, rule: Dates, *, rhythm: bool) -> str:
    """Return when a job runs: ``Every 15 minutes on Mondays``, ``At 09:00 every day``."""
    text = _times(fields, rhythm=rhythm)
    if not rhythm and rule.days is ALL_DAYS and rule.weekdays is ALL_WEEKDAYS:
        text += " every day"
    return _followed(text, _dates(rule))


def _followed(text: str, clause: str) -> str:
    """Return both, with a comma between two ranges, which would be read as one."""
    _, through, end = text.rpartition(" through ")
    comma = "," if through and " " not in end and clause.startswith("from ") else ""
    return f"{text}{comma} {clause}" if clause else text


def _times(fields: Fields, *, rhythm: bool) -> str:
    """Return the times of day: ``Every 15 minutes``, ``At 09:00 and 17:00``."""
    text = (
        (_endless(fields) if rhythm else None)
        or _progression(fields, rhythm=rhythm)
        or _list(fields, "or" if rhythm else "and")
        or _spans(fields, rhythm=rhythm)
        or _parts(fields, rhythm=rhythm)
    )
    if not rhythm:
        return f"At {text}"
    return text.capitalize() if text.startswith("every ") else f"Whenever the clock shows {text}"


def _endless(fields: Fields) -> str | None:
    """Return the words of a rhythm that is as even at midnight as before and after."""
    seconds, minutes, _ = fields
    step = _step(fields)
    if step is None or step * _count(fields) != _DAY:
        return None
    if not minutes[0] and not seconds[0]:
        return humanize.every(step)
    if step <= _MINUTE and len(seconds) <= _FEW:
        return f"every minute at {_named('second', seconds)}"
    if _MINUTE < step <= _HOUR and len(minutes) <= _FEW:
        return f"every hour at {_within_hour(minutes, seconds)}"
    return None


def _progression(fields: Fields, *, rhythm: bool) -> str | None:
    """Return the words of times that are equally far apart from the first to the last."""
    step = _step(fields)
    if step is None or _count(fields) < (_SHORTEST_RHYTHM if rhythm else _SHORTEST_FIXED):
        return None
    return f"{_apart(step, rhythm=rhythm)} {_span(fields, fields[2][0], fields[2][-1])}"


def _apart(step: int, *, rhythm: bool) -> str:
    """Return ``every 2 hours`` of a rhythm, and the text after *At* of fixed times."""
    text = humanize.every(step)
    _, *number, unit = text.split()
    return text if rhythm or not number else f"{number[0]}-{unit.removesuffix('s')} intervals"


def _list(fields: Fields, conjunction: str) -> str | None:
    if _count(fields) > _LONGEST_LIST:
        return None
    seconds, minutes, hours = fields
    named = [_clock(fields, *each) for each in product(hours, minutes, seconds)]
    return humanize.joined(named, conjunction)


def _spans(fields: Fields, *, rhythm: bool) -> str | None:
    """Return the words of times that are evenly spread over some hours of the day."""
    seconds, minutes, hours = fields
    within = (seconds, minutes, (0,))
    step = _step(within) or _HOUR
    if step * _count(within) != _HOUR:
        return None
    runs, apart = _runs(hours), _apart(step, rhythm=rhythm)
    if len(runs) <= _MOST_SPANS:
        spans = [_span(fields, run[0], run[-1]) for run in runs]
        return f"{apart} {humanize.joined(spans)}"
    if step < _HOUR and not minutes[0] and not seconds[0]:
        return f"{apart} in {_named('hour', hours)}"
    return None


def _parts(fields: Fields, *, rhythm: bool) -> str:
    """Return the words of times that have no pattern, field by field."""
    seconds, minutes, hours = fields
    every_minute, every_hour = len(minutes) == _MINUTES, len(hours) == _HOURS
    if rhythm and every_hour and len(seconds) < _SECONDS:
        if every_minute:
            return f"every minute at {_named('second', seconds)}"
        return f"every hour at {_within_hour(minutes, seconds)}"
    parts = [
        *([_every_or_named("second", seconds, _SECONDS)] if tuple(seconds) != (0,) else []),
        _every_or_named("minute", minutes, _MINUTES),
        _every_or_named("hour", hours, _HOURS),
    ]
    return " of ".join(parts)


def _every_or_named(unit: str, values: Sequence[int], span: int) -> str:
    return f"every {unit}" if len(values) == span else _named(unit, values)


def _within_hour(minutes: Sequence[int], seconds: Sequence[int]) -> str:
    text = _named("minute", minutes)
    return text if tuple(seconds) == (0,) else f"{text}, {_named('second', seconds)}"


def _named(unit: str, values: Sequence[int]) -> str:
    """Return ``minute 5`` or ``minutes 0 through 30``."""
    return f"{unit}{'s' if len(values) > 1 else ''} {_enumerated(_numbers(values))}"


def _span(fields: Fields, first_hour: int, last_hour: int) -> str:
    seconds, minutes, _ = fields
    first = _clock(fields, first_hour, minutes[0], seconds[0])
    last = _clock(fields, last_hour, minutes[-1], seconds[-1])
    return f"at {first}" if first == last else f"from {first} through {last}"


def _clock(fields: Fields, hour: int, minute: int, second: int) -> str:
    """Return a time of day, with seconds if any of its kind has some."""
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if tuple(fields[0]) != (0,) else "")


def _count(fields: Fields) -> int:
    return prod(map(len, fields))


def _step(fields: Fields) -> int | None:
    """Return how many seconds all times are apart from the next, or None if that differs.

    It is None for a single time as well.
    """
    step, count, is_whole = None, 1, False
    for values, (unit, span) in zip(fields, _UNITS, strict=True):
        if len(values) > 1:
            gaps = {later - earlier for earlier, later in pairwise(values)}
            # Units that follow each other carry a step on only if it fills each of them.
            if len(gaps) > 1 or (step is not None and not (is_whole and gaps == {1})):
                return None
            step = step or gaps.pop() * unit
        count *= len(values)
        is_whole = step is not None and step * count == unit * span
    return step


def _dates(rule: Dates) -> str:
    """Return the dates, like ``on day 1 of the month``, and an empty text for all dates."""
    months = [] if rule.months is ALL_MONTHS else _names(rule.months, 1, _MONTHS)
    if rule.days is ALL_DAYS:
        return (
            _within(months) if rule.weekdays is ALL_WEEKDAYS else _weekdays(rule.weekdays, months)
        )
    days = _days(rule.days, months)
    if rule.weekdays is ALL_WEEKDAYS:
        return days
    if rule.both:
        return f"{days}, but only {_weekdays(rule.weekdays, [])}"
    return f"{days}, and also {_weekdays(rule.weekdays, months)}"


def _within(months: Sequence[str]) -> str:
    return f"{'from' if _is_range(months) else 'in'} {humanize.joined(months)}" if months else ""


def _of(months: Sequence[str]) -> str:
    return f"of {humanize.joined(months) if months else 'the month'}"


def _is_range(names: Sequence[str]) -> bool:
    return len(names) == 1 and " through " in names[0]


def _days(days: Days, months: Sequence[str]) -> str:
    """Return days of month: ``on days 1, 2 and the last day of the month``."""
    numbers = _numbers(days.numbers)
    if numbers:
        numbers[0] = f"day{'s' if len(days.numbers) > 1 else ''} {numbers[0]}"
    named = [
        *numbers,
        *map(_from_end, days.from_end),
        *(_nearest(number) for number in days.nearest),
        *(_nearest_from_end(back) for back in days.nearest_from_end),
    ]
    if len(named) == 1 and _IN_STEPS in named[0]:
        return f"on {named[0].replace(_IN_STEPS, f' {_of(months)}{_IN_STEPS}')}"
    return f"on {_enumerated(named)} {_of(months)}"


def _enumerated(named: Sequence[str]) -> str:
    """Return a list. Steps stand in brackets unless they are those of the whole list."""
    if len(named) > 1:
        named = [
            f"{each.replace(_IN_STEPS, f' ({_IN_STEPS[1:]}')})" if _IN_STEPS in each else each
            for each in named
        ]
    return humanize.joined(named)


def _from_end(back: int) -> str:
    if back == 0:
        return "the last day"
    return "the day before the last" if back == 1 else f"the day {back} days before the last"


def _nearest(number: int) -> str:
    if number == 1:
        # "Nearest to day 1" could mean a day of the month before.
        return "the first weekday"
    shorter = " or else to the last day" if number > _SHORTEST_MONTH else ""
    return f"the weekday nearest to day {number}{shorter}"


def _nearest_from_end(back: int) -> str:
    return f"the weekday nearest to {_from_end(back)}" if back else "the last weekday"


def _weekdays(weekdays: Weekdays, months: Sequence[str]) -> str:
    """Return days of week: ``on Mondays``, ``on the last Friday of the month``."""
    # Weeks begin on Monday here, and on Sunday in cron expressions.
    plain = _names([(each - 1) % 7 for each in weekdays.numbers], 0, _WEEKDAYS)
    special = [
        *(f"the {_ORDINALS[nth - 1]} {_weekday(each)}" for nth, each in weekdays.nth),
        *(f"the last {_weekday(each)}" for each in weekdays.last),
    ]
    parts = [
        *([_followed(_each(plain), _within(months))] if plain else []),
        *([f"on {humanize.joined(special)} {_of(months)}"] if special else []),
    ]
    return " and ".join(parts)


def _each(weekdays: Sequence[str]) -> str:
    """Return days of week that come every week: ``on Mondays``, ``from Monday through Friday``."""
    if _is_range(weekdays):
        return f"from {weekdays[0]}"
    return f"on {humanize.joined(weekdays)}".replace("day", "days")


def _weekday(number: int) -> str:
    return _WEEKDAYS[(number - 1) % 7]


def _names(values: Iterable[int], low: int, words: Sequence[str]) -> list[str]:
    """Return names. Ranges may go over the end, like ``Friday through Monday``."""
    runs = _runs(sorted(value - low for value in values))
    if len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == len(words) - 1:
        around = [*runs[-1], *runs[0]]
        runs = [*runs[1:-1], around] if len(around) >= _SHORTEST_RANGE else runs
    named: list[str] = []
    for run in runs:
        texts = [words[value] for value in run]
        is_long = len(run) >= _SHORTEST_RANGE
        named += [f"{texts[0]} through {texts[-1]}"] if is_long else texts
    return named


def _numbers(values: Sequence[int]) -> list[str]:
    """Return numbers, ranges and steps: ``5``, ``0 through 9``, ``0 through 50 in steps of 5``."""
    named: list[str] = []
    start = 0
    while start < len(values):
        count = _equally_far(values[start:])
        first, last = values[start], values[start + count - 1]
        step = (last - first) // max(count - 1, 1)
        if count >= (_SHORTEST_RANGE if step == 1 else _SHORTEST_STEPS):
            named.append(f"{first} through {last}" + (f"{_IN_STEPS}{step}" if step > 1 else ""))
            start += count
        else:
            named.append(str(first))
            start += 1
    return named


def _equally_far(values: Sequence[int]) -> int:
    """Return how many values from the first on have the same distance to the next."""
    gaps = [later - earlier for earlier, later in pairwise(values)]
    return 1 + sum(1 for _ in takewhile(lambda gap: gap == gaps[0], gaps))


def _runs(values: Sequence[int]) -> list[list[int]]:
    """Return the values as groups of consecutive ones."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs

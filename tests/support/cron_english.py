"""Reads the English of schedules: which values it names.

It is written from the grammar of the sentences and knows nothing of how they are made.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

MONTHS = [
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
]
WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
ORDINALS = ["first", "second", "third", "fourth", "fifth"]
SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600}
MOST = {"second": 60, "minute": 60, "hour": 24}

# How the parts look.
CLOCK = r"\d\d:\d\d(?::\d\d)?"
ITEM = r"\d+(?: through \d+(?: in steps of \d+| \(in steps of \d+\))?)?"


def listed(item: str) -> str:
    return rf"{item}(?:(?:, {item})* (?:and|or) {item})?"


NUMBER = r"(\d+)(?: through (\d+))?(?: \(?in steps of (\d+)\)?)?"
NUMBERS = listed(ITEM)
UNIT = rf"(?:every (?:second|minute|hour)|(?:second|minute|hour)s? {NUMBERS})"
EVERY = r"every (?:\d+ )?(?:second|minute|hour)s?"
STEP = rf"(?:{EVERY}|\d+-(?:second|minute|hour) intervals)"
SPAN = rf"(?:from {CLOCK} through {CLOCK}|at {CLOCK})"
MONTH = rf"(?:{'|'.join(MONTHS)})"
MONTH_LIST = listed(rf"{MONTH}(?: through {MONTH})?")
WEEKDAY = rf"(?:{'|'.join(WEEKDAYS)})"
WEEKDAY_LIST = listed(rf"{WEEKDAY}s(?: through {WEEKDAY}s)?")
NTH = rf"the (?:{'|'.join(ORDINALS)}|last) {WEEKDAY}"
FROM_END = r"the day (?:\d+ days )?before the last"
NEAREST = r"the weekday nearest to day \d+(?: or else to the last day)?"
MOVING = (
    rf"(?:the weekday nearest to {FROM_END}|{NEAREST}|the (?:first|last) weekday|{FROM_END}"
    rf"|the last day)"
)
DAY_ITEM = rf"(?:(?:days? )?{ITEM}|{MOVING})"

OF = rf"of (?:the month|{MONTH_LIST})"
WITHIN = rf"(?:,? (?:in|from) {MONTH_LIST})?"
DAYS = rf"on {listed(DAY_ITEM)} {OF}(?: in steps of \d+)?"
PLAIN_WEEKDAYS = rf"(?:on {WEEKDAY_LIST}|from {WEEKDAY} through {WEEKDAY}){WITHIN}"
NTH_WEEKDAYS = rf"on {listed(NTH)} {OF}"
DAYS_OF_WEEK = rf"(?:{PLAIN_WEEKDAYS}(?: and {NTH_WEEKDAYS})?|{NTH_WEEKDAYS})"

TIMES = re.compile(
    rf"(?:At |Whenever the clock shows |(?=Every ))(?P<words>"
    rf"(?i:{EVERY} at {UNIT}(?:, {UNIT})?)"
    rf"|(?i:{STEP} {listed(SPAN)})"
    rf"|(?i:{UNIT}(?: of {UNIT}){{1,2}})"
    rf"|(?i:{STEP} in {UNIT})"
    rf"|(?i:{EVERY})"
    rf"|{listed(CLOCK)})(?P<dates> .*|, .*|$)"
)
DATES = re.compile(
    rf"(?: every day)?(?: (?P<days>{DAYS}))?(?P<kind>, but only|, and also|)"
    rf"(?:,? (?P<weekdays>{DAYS_OF_WEEK}))?(?P<months>{WITHIN})"
)
TWO_RANGES = re.compile(r" through \S*[^ ,] from [A-Z]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sentence says. ``times`` has a bit for each second of a day.

    ``days`` and ``weekdays`` hold numbers and words with numbers, like ("last", 5). None stands
    for all.
    """

    rhythm: bool
    times: int
    months: frozenset[int] | None
    days: frozenset[object] | None
    weekdays: frozenset[object] | None
    both: bool

    def has(self, day: date) -> bool:
        """Return whether a date is one of those that the sentence names."""
        if self.months is not None and day.month not in self.months:
            return False
        asked = [
            any(_is_day(each, day) for each in self.days) if self.days is not None else None,
            any(_is_weekday(each, day) for each in self.weekdays)
            if self.weekdays is not None
            else None,
        ]
        answers = [each for each in asked if each is not None]
        return not answers or (all(answers) if self.both else any(answers))

    def walls(self, day: date) -> Iterator[int]:
        """Yield the seconds of a day at which the job runs, on a clock that is never changed."""
        left = self.times if self.has(day) else 0
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest


def read(sentence: str) -> Reading:
    """Return what the sentence says; one that does not follow the grammar is an error."""
    match = TIMES.fullmatch(sentence)
    assert match, sentence
    months, days, weekdays, both = _dates(match["dates"])
    rhythm = not sentence.startswith("At ")
    assert not TWO_RANGES.search(sentence), f"{sentence} runs two ranges together"
    # Without "every day", a time alone could be understood as a single one.
    is_daily = not rhythm and days is None and weekdays is None
    assert match["dates"].startswith(" every day") == is_daily, sentence
    return Reading(
        rhythm=rhythm,
        times=_times(match["words"].lower()),
        months=months,
        days=days,
        weekdays=weekdays,
        both=both,
    )


# -- times ------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def _times(words: str) -> int:
    if re.fullmatch(listed(CLOCK), words):
        return _or(1 << _seconds(each) for each in re.findall(CLOCK, words))
    if re.fullmatch(rf"{STEP} {listed(SPAN)}", words):
        return _or(_span(_step(words), each) for each in re.findall(SPAN, words))
    if match := re.fullmatch(rf"every (second|minute|hour) at ({UNIT})(?:, ({UNIT}))?", words):
        units = dict(_unit(each) for each in match.groups()[1:] if each)
        larger = [each for each in SECONDS_OF if SECONDS_OF[each] >= SECONDS_OF[match[1]]]
        return _product({each: set(range(MOST[each])) for each in larger} | units)
    if re.fullmatch(rf"{UNIT}(?: of {UNIT})+", words):
        units = dict(_unit(each) for each in re.findall(UNIT, words))
        # "Every second of hour 9" passes over the minutes, and means all of them.
        smallest = min(SECONDS_OF[each] for each in units)
        larger = [each for each in SECONDS_OF if SECONDS_OF[each] > smallest]
        return _product({each: set(range(MOST[each])) for each in larger} | units)
    if match := re.fullmatch(rf"({STEP}) in ({UNIT})", words):
        name, hours = _unit(match[2])
        assert name == "hour", words
        within = _progression(0, 3600, _step(words))
        return _or(within << 3600 * hour for hour in hours)
    assert re.fullmatch(EVERY, words), words
    step = _step(words)
    assert 86_400 % step == 0, f"{words} is not even without end"
    return _progression(0, 86_400, step)


def _step(words: str) -> int:
    match = re.match(r"(?:every )?(\d+[ -])?(second|minute|hour)", words)
    assert match, words
    return int((match[1] or "1").strip(" -")) * SECONDS_OF[match[2]]


def _span(step: int, words: str) -> int:
    first, *last = [_seconds(each) for each in re.findall(CLOCK, words)]
    if not last:
        return 1 << first
    assert (last[0] - first) % step == 0, words
    return _progression(first, last[0] + 1, step)


def _progression(first: int, end: int, step: int) -> int:
    count = (end - first + step - 1) // step
    return ((1 << step * count) - 1) // ((1 << step) - 1) << first


def _seconds(clock: str) -> int:
    hour, minute, second = [*map(int, clock.split(":")), 0][:3]
    return 3600 * hour + 60 * minute + second


def _unit(words: str) -> tuple[str, set[int]]:
    """Return the values of ``minutes 0, 5 and 10`` or ``every minute``."""
    if words.startswith("every "):
        name = words.removeprefix("every ")
        return name, set(range(MOST[name]))
    name, _, values = words.partition(" ")
    found = _numbers(values)
    assert name.endswith("s") == (len(found) > 1), words
    return name.removesuffix("s"), found


def _numbers(words: str) -> set[int]:
    found: set[int] = set()
    # Of several items, those with steps have brackets around them: the others have none.
    alone = re.fullmatch(rf"\D*{ITEM}", words)
    assert ("(in steps" in words) == ("in steps" in words and not alone), words
    for first, last, step in re.findall(NUMBER, words):
        values = range(int(first), int(last or first) + 1, int(step or 1))
        assert values[-1] == int(last or first), words
        assert not found & set(values), f"{words} names a value twice"
        found |= set(values)
    return found


def _product(units: dict[str, set[int]]) -> int:
    mask = 1
    for name, size in SECONDS_OF.items():
        mask = _or(mask << size * value for value in units.get(name, {0}))
    return mask


def _or(masks: Iterator[int]) -> int:
    found = 0
    for each in masks:
        found |= each
    return found


# -- dates ------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def _dates(
    words: str,
) -> tuple[frozenset[int] | None, frozenset[object] | None, frozenset[object] | None, bool]:
    match = DATES.fullmatch(words)
    assert match, words
    both = match["kind"] == ", but only"
    assert bool(match["kind"]) == bool(match["days"] and match["weekdays"]), words
    clauses = [match["months"], match["days"], None if both else match["weekdays"]]
    months = {_months(each) for each in clauses if each}
    # An alternative that lacked the months would hold in all of them.
    assert len(months) <= 1, words
    return (
        months.pop() if months else None,
        _days(match["days"]) if match["days"] else None,
        _weekdays(match["weekdays"]) if match["weekdays"] else None,
        both,
    )


def _months(words: str) -> frozenset[int] | None:
    """Return the months of a clause, which are the same each time that it names them."""
    named = {
        frozenset(_names(each, MONTHS))
        for each in re.findall(rf"(?:of|in|from) ({MONTH_LIST})", words)
    }
    if "of the month" in words:
        assert not named, words
        return None
    assert len(named) <= 1, words
    return frozenset(number + 1 for number in named.pop()) if named else None


def _names(words: str, names: list[str]) -> set[int]:
    found: set[int] = set()
    word = rf"({'|'.join(names)})s?"
    for first, last in re.findall(rf"{word}(?: through {word})?", words):
        start = names.index(first)
        length = (names.index(last or first) - start) % len(names) + 1
        found |= {(start + each) % len(names) for each in range(length)}
    return found


def _days(words: str) -> frozenset[object]:
    found: set[object] = set()

    def moving(match: re.Match[str]) -> str:
        unnumbered = "1" if "before" in match[0] or "first" in match[0] else "0"
        number = int((re.findall(r"\d+", match[0]) or [unnumbered])[0])
        counts_back = "last" in match[0].replace(" or else to the last day", "")
        nearest = "weekday" in match[0]
        assert ("or else" in match[0]) == (nearest and not counts_back and number > 28)
        kind = ("nearest " if nearest else "") + ("from end" if counts_back else "day")
        found.add(f"{kind} {number}")
        return ""

    plain = re.sub(MOVING, moving, words)
    steps = re.sub(rf" {OF}", "", plain)
    return frozenset(found | _numbers(steps))


def _weekdays(words: str) -> frozenset[object]:
    found: set[object] = set()
    for ordinal, name in re.findall(rf"the ({'|'.join(ORDINALS)}|last) ({WEEKDAY})", words):
        nth = ORDINALS.index(ordinal) + 1 if ordinal in ORDINALS else "last"
        found.add((nth, WEEKDAYS.index(name)))
    plain = re.sub(NTH, "", words)
    return frozenset(found | _names(plain, WEEKDAYS))


def _is_day(rule: object, day: date) -> bool:
    if isinstance(rule, int):
        return day.day == rule
    kind, _, text = str(rule).rpartition(" ")
    days = _month_of(day.replace(day=1))
    number = int(text)
    if kind.endswith("from end"):
        if number >= len(days):
            return False
        meant = days[len(days) - 1 - number]
    else:
        meant = days[min(number, len(days)) - 1]
    if not kind.startswith("nearest"):
        return day == meant
    workdays = [each for each in days if each.weekday() < 5]
    return day == min(workdays, key=lambda each: abs(each - meant))


@lru_cache(maxsize=1024)
def _month_of(first: date) -> list[date]:
    days = [first + timedelta(days=each) for each in range(31)]
    return [each for each in days if each.month == first.month]


def _is_weekday(rule: object, day: date) -> bool:
    if isinstance(rule, int):
        return day.isoweekday() % 7 == rule
    assert isinstance(rule, tuple)
    nth, weekday = rule
    if day.isoweekday() % 7 != weekday:
        return False
    if nth == "last":
        return (day + timedelta(days=7)).month != day.month
    return bool((day.day - 1) // 7 + 1 == nth)

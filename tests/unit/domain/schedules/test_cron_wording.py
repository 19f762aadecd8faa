"""What a cron expression says in English is when it runs: read back by a reader of its own."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice

import pytest

from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.dates import Dates
from chronos_common.errors import Invalid
from cron_english import Reading, read

MOST = {"second": 60, "minute": 60, "hour": 24, "day": 31, "month": 12, "weekday": 7}
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        # What people write.
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("*/20 * * * * *", "Every 20 seconds"),
        ("* * * * * *", "Every second"),
        ("@hourly", "Every hour"),
        ("15 * * * *", "Every hour at minute 15"),
        ("5,35 * * * *", "Every hour at minutes 5 and 35"),
        ("2/5 * * * *", "Every 5 minutes from 00:02 through 23:57"),
        ("15,45 * * * * *", "Every minute at seconds 15 and 45"),
        ("30 */15 * * * *", "Every hour at minutes 0, 15, 30 and 45, second 30"),
        ("0 */6 * * *", "Every 6 hours"),
        ("@daily", "At 00:00 every day"),
        ("0 9 * * 1", "At 09:00 on Mondays"),
        ("0 9,17 * * *", "At 09:00 and 17:00 every day"),
        ("0 17 * * MON-FRI", "At 17:00 from Monday through Friday"),
        ("0 0 * * SAT,SUN", "At 00:00 on Saturdays and Sundays"),
        ("30 2 1 * *", "At 02:30 on day 1 of the month"),
        ("0 0 1 1 *", "At 00:00 on day 1 of January"),
        ("0 0 1 */3 *", "At 00:00 on day 1 of January, April, July and October"),
        ("0 0 * NOV-FEB *", "At 00:00 every day from November through February"),
        ("0 9-17 * * *", "At every hour from 09:00 through 17:00 every day"),
        (
            "*/5 9-17 * * MON-FRI",
            "Every 5 minutes from 09:00 through 17:55, from Monday through Friday",
        ),
        ("15 30 2 * * *", "At 02:30:15 every day"),
        ("0 9 * * 1-3,5", "At 09:00 on Mondays through Wednesdays and Fridays"),
        ("*/15 * * * MON-FRI", "Every 15 minutes from Monday through Friday"),
        ("0 12 * DEC *", "At 12:00 every day in December"),
        ("*/10 * * 11 *", "Every 10 minutes in November"),
        (
            "0 8 * 6-8 1-5",
            "At 08:00 from Monday through Friday, from June through August",
        ),
        # English has "at every hour", and no "at every two hours".
        ("0 7-19/2 * * *", "At 2-hour intervals from 07:00 through 19:00 every day"),
        (
            "0,30 9-17 * * 1-5",
            "At 30-minute intervals from 09:00 through 17:30, from Monday through Friday",
        ),
        (
            "0,30 0-4,6,8,10,12 * * 0",
            "At 30-minute intervals in hours 0 through 4, 6, 8, 10 and 12 on Sundays",
        ),
        # Days that move.
        ("0 0 ? * FRIL", "At 00:00 on the last Friday of the month"),
        ("0 0 * * 2#1", "At 00:00 on the first Tuesday of the month"),
        ("0 0 L * *", "At 00:00 on the last day of the month"),
        ("0 14 LW * ?", "At 14:00 on the last weekday of the month"),
        ("0 14 L-3 * ?", "At 14:00 on the day 3 days before the last of the month"),
        ("0 0 L-1 * *", "At 00:00 on the day before the last of the month"),
        ("0 0 15W * *", "At 00:00 on the weekday nearest to day 15 of the month"),
        ("0 0 1W * *", "At 00:00 on the first weekday of the month"),
        ("0 0 31W * *", "At 00:00 on the last weekday of the month"),
        ("0 0 1,L * *", "At 00:00 on day 1 and the last day of the month"),
        (
            "0 0 2-31,L * *",
            "At 00:00 on days 2 through 31 and the last day of the month",
        ),
        # Day of month with day of week.
        ("0 0 13 * FRI", "At 00:00 on day 13 of the month, and also on Fridays"),
        (
            "0 8 L * mon-thu",
            "At 08:00 on the last day of the month, and also from Monday through Thursday",
        ),
        (
            "0 0 */10 * SUN",
            "At 00:00 on days 1, 11, 21 and 31 of the month, but only on Sundays",
        ),
        ("0 0 1-31 * SUN", "At 00:00 every day"),
        (
            "0 0 * 5 MON,FRI#3",
            "At 00:00 on Mondays in May and on the third Friday of May",
        ),
        # A step that leaves one value, or that does not fit: no rhythm of weeks, days or minutes.
        ("0 17 * * FRI/2", "At 17:00 on Fridays"),
        ("0 9 * * TUE,FRI/4", "At 09:00 on Tuesdays and Fridays"),
        ("0 9 * * 1/2", "At 09:00 on Mondays, Wednesdays and Fridays"),
        ("0 9 31/1 * *", "At 09:00 on day 31 of the month"),
        ("0 0 */2 * *", "At 00:00 on days 1 through 31 of the month in steps of 2"),
        ("59/15 * * * *", "Every hour at minute 59"),
        ("30/30 * * * *", "Every hour at minute 30"),
        ("*/50 * * * *", "Every hour at minutes 0 and 50"),
        ("*/7 * * * *", "Every hour at minutes 0 through 56 in steps of 7"),
        ("0 */5 * * *", "Every 5 hours from 00:00 through 20:00"),
        ("1-59/2 * * * *", "Every 2 minutes from 00:01 through 23:59"),
        # Steps that are those of one item, and not of the list.
        (
            "0-40/10,55 * * * *",
            "Every hour at minutes 0 through 40 (in steps of 10) and 55",
        ),
        (
            "0 0 1-9/2,L * *",
            "At 00:00 on days 1 through 9 (in steps of 2) and the last day of the month",
        ),
        # Lists and ranges over the end.
        ("55/10,0 * * * *", "Every hour at minutes 0 and 55"),
        ("7,*/20 * * * *", "Every hour at minutes 0, 7, 20 and 40"),
        ("50-10 9 * * *", "At minutes 0 through 10 and 50 through 59 of hour 9 every day"),
        ("0 8-10,20 * * *", "At 08:00, 09:00, 10:00 and 20:00 every day"),
        ("0 22-2 * * *", "At 00:00, 01:00, 02:00, 22:00 and 23:00 every day"),
        ("0 0 * * FRI-MON", "At 00:00 from Friday through Monday"),
        # The same values, with and without a rhythm: they differ where a clock is changed.
        ("*/30 2 * * *", "Whenever the clock shows 02:00 or 02:30"),
        ("0,30 2 * * *", "At 02:00 and 02:30 every day"),
    ],
)
def test_an_expression_says_what_it_means(expression: str, words: str) -> None:
    assert cron.describe(expression) == words
    is_right = read(words) == meant(expression)
    assert is_right


def test_the_longest_sentence_has_a_bound() -> None:
    # Nothing that an expression can hold takes more room in words than a nearest weekday.
    nearest = ",".join(f"{day}W" for day in range(31, 0, -1) if day not in {2, 6})
    nearest += "," + ",".join(f"L-{back}W" for back in range(2, 24, 2))
    expression = f"0,1,5,8,14,20,29,44 1,5,6,8,13,23 {nearest} 1,3,5,7,9,12 1,3,5"
    assert 200 < len(expression) <= cron.MAX_LENGTH
    assert len(cron.describe(expression)) < 2000


def test_an_expression_without_a_meaning_has_no_words() -> None:
    with pytest.raises(Invalid, match="natural language"):
        cron.describe("every full moon")


# -- a hundred thousand expressions -----------------------------------------------------------


def meant(expression: str) -> Reading:
    parsed = cron.parse(expression)
    days, weekdays = _days(parsed.dates), _weekdays(parsed.dates)
    return Reading(
        rhythm=parsed.rhythm,
        times=_mask(tuple(parsed.hours), tuple(parsed.minutes), tuple(parsed.seconds)),
        months=None if len(parsed.dates.months) == 12 else frozenset(parsed.dates.months),
        days=days,
        weekdays=weekdays,
        both=bool(parsed.dates.both and days is not None and weekdays is not None),
    )


@lru_cache(maxsize=65_536)
def _mask(hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> int:
    mask = sum(1 << second for second in seconds)
    mask = sum(mask << 60 * minute for minute in minutes)
    return sum(mask << 3600 * hour for hour in hours)


def _days(rule: Dates) -> frozenset[object] | None:
    if len(rule.days.numbers) == 31:
        return None
    return frozenset(
        [
            *rule.days.numbers,
            *(f"from end {each}" for each in rule.days.from_end),
            *(f"nearest day {each}" for each in rule.days.nearest),
            *(f"nearest from end {each}" for each in rule.days.nearest_from_end),
        ]
    )


def _weekdays(rule: Dates) -> frozenset[object] | None:
    if len(rule.weekdays.numbers) == 7:
        return None
    last = [("last", each) for each in rule.weekdays.last]
    return frozenset([*rule.weekdays.numbers, *rule.weekdays.nth, *last])


PLAIN_FORMS = ["*", "*/{step}", "{a}/{step}", "{a}-{b}/{step}", "{a}", "{a}", "{a}-{b}"]
FORMS = {
    "day": [*PLAIN_FORMS, "L", "L-{back}", "LW", "L-{back}W", "{a}W"],
    "weekday": [*PLAIN_FORMS, "{a}#{nth}", "{a}L", "L{nth}"],
}


def drawn_item(draw: random.Random, name: str) -> str:
    most = MOST[name]
    step = min(most, draw.choice([2, 3, 5, 10, 15, 20, 30, draw.randrange(1, most + 1)]))
    return draw.choice(FORMS.get(name, PLAIN_FORMS)).format(
        a=drawn_value(draw, name),
        b=drawn_value(draw, name),
        step=step,
        back=draw.randrange(31),
        nth=draw.randrange(1, 6),
    )


def drawn_value(draw: random.Random, name: str) -> str:
    names = {"month": MONTHS, "weekday": DAYS}.get(name)
    if names and draw.random() < 0.4:
        return draw.choice(names)
    low = 1 if name in {"day", "month"} else 0
    return str(draw.randrange(low, low + MOST[name] + (name == "weekday")))


def drawn_field(draw: random.Random, name: str) -> str:
    if name in {"day", "weekday"} and draw.random() < 0.05:
        return "?"
    # A long list now and then: almost all of the values, in any order.
    count = draw.choice([1, 1, 1, 1, 2, 2, 3, 4, 5, 9])
    return ",".join(drawn_item(draw, name) for _ in range(count))


def drawn_expressions(count: int, *, seed: int) -> Iterator[str]:
    """Yield expressions of all forms of all fields, alone and together."""
    draw = random.Random(seed)  # noqa: S311 - an example, not a secret
    names = ["second", "minute", "hour", "day", "month", "weekday"]
    texts = {name: [drawn_field(draw, name) for _ in range(4000)] for name in names}
    while count:
        given = set(draw.sample(names, draw.choice([1, 1, 2, 3, 4, 5, 6])))
        fields = [draw.choice(texts[name]) if name in given else "*" for name in names]
        expression = " ".join(fields if "second" in given else fields[1:])
        if len(expression) <= cron.MAX_LENGTH:
            count -= 1
            yield expression


@pytest.mark.timeout(300)  # About 26 seconds of CPU time here.
def test_a_hundred_thousand_sentences_name_the_values_of_their_expressions() -> None:
    said: set[str] = set()
    for expression in drawn_expressions(100_000, seed=1):
        sentence = cron.describe(expression)
        reading = meant(expression)
        # Not compared by ``assert``, which would write out the bits of whole days.
        is_right = read(sentence) == reading
        assert is_right, (expression, sentence)
        said.add(sentence)
        assert "week" not in sentence.replace("weekday", "")
    assert len(said) > 25_000
    assert max(map(len, said)) < 1000


def test_sentences_name_the_dates_and_times_at_which_jobs_run() -> None:
    checked = 0
    for expression in drawn_expressions(500, seed=2):
        try:
            cron.check(expression)
        except Invalid:
            continue
        reading = read(cron.describe(expression))
        start = datetime(2027, 2, 26, 12, tzinfo=UTC)
        assert list(islice(_following(expression, start), 6)) == list(
            islice(_said(reading, start), 6)
        ), expression
        checked += 1
    assert checked > 300


def _following(expression: str, moment: datetime) -> Iterator[datetime]:
    found = cron.next_after(expression, "UTC", moment)
    while found is not None and found.year < 2030:
        yield found
        found = cron.next_after(expression, "UTC", found)


def _said(reading: Reading, moment: datetime) -> Iterator[datetime]:
    day = moment.date()
    midnight = datetime.combine(day, time(), UTC)
    while day < date(2030, 1, 1):
        for second in reading.walls(day):
            instant = midnight + timedelta(seconds=second)
            if instant > moment:
                yield instant
        day += timedelta(days=1)
        midnight += timedelta(days=1)

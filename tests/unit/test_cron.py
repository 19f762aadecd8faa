"""Cron expressions on a calendar without clock changes, against cronsim and by hand."""

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_common.domain import cron
from chronos_common.errors import Invalid

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def successive(
    expression: str, moment: datetime, count: int, timezone: str = "UTC"
) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count:
        following = cron.next_after(expression, timezone, moment)
        if following is None:
            break
        found.append(following)
        moment = following
    return found


def times(*texts: str) -> list[datetime]:
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts]


# -- what both cronsim and Chronos read -----------------------------------------------------


@st.composite
def items(draw: st.DrawFn, low: int, high: int, span: int) -> str:
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, span))
    shapes = ["*", f"*/{step}", f"{first}", f"{first}-{last}"]
    if last > first:  # cronsim reads 3-3/2 as 3/2
        shapes.append(f"{first}-{last}/{step}")
    if high != 7:  # cronsim's steps of weekdays end with 7, ours and croniter's with 6
        shapes.append(f"{first}/{step}")
    return draw(st.sampled_from(shapes))


def fields(
    low: int, high: int, span: int, *others: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    item = st.one_of(items(low, high, span), *others)
    return st.lists(item, min_size=1, max_size=3).map(",".join)


MINUTES = fields(0, 59, 60)
HOURS = fields(0, 23, 24)
DAYS = fields(1, 31, 31) | st.sampled_from(["*", "L", "1,L", "L,15-20"])
MONTHS = fields(1, 12, 12) | st.sampled_from(["*", "FEB", "jan-mar", "FEB,JUN-AUG/2"])
WEEKDAYS = fields(
    0, 7, 7, st.sampled_from(["MON", "fri-sat", "SUN", "TUE#2", "5#5", "0#1", "7#4", "5L", "0L"])
)
DATES = st.tuples(DAYS, MONTHS, WEEKDAYS)
EXPRESSIONS = st.tuples(MINUTES, HOURS, DATES).map(lambda each: " ".join([*each[:2], *each[2]]))
SECONDS_SINCE_1970 = st.integers(631_152_000, 3_471_292_800)  # 1990 to 2080
MOMENTS = SECONDS_SINCE_1970.map(lambda each: datetime.fromtimestamp(each, UTC))


@settings(deadline=None, max_examples=300)
@given(expression=EXPRESSIONS, moment=MOMENTS)
def test_expressions_name_the_instants_that_cronsim_finds(
    expression: str, moment: datetime
) -> None:
    try:
        expected = list(islice(CronSim(expression, moment), 4))
    except CronSimError:
        expected = []
    try:
        cron.check(expression)
    except Invalid:
        assert expected == []
    else:
        assert successive(expression, moment, 4) == expected


@settings(deadline=None, max_examples=100)
@given(seconds=MINUTES, expression=EXPRESSIONS, moment=MOMENTS)
def test_seconds_come_first(seconds: str, expression: str, moment: datetime) -> None:
    expression = f"{seconds} {expression}"
    try:
        expected = list(islice(CronSim(expression, moment), 3))
    except CronSimError:
        expected = []
    if expected:
        assert successive(expression, moment, 3) == expected


@settings(deadline=None, max_examples=100)
@given(expression=EXPRESSIONS, moment=MOMENTS, back=st.timedeltas(timedelta(0), timedelta(days=3)))
def test_the_next_instant_is_the_same_from_everywhere_before_it(
    expression: str, moment: datetime, back: timedelta
) -> None:
    try:
        following = cron.next_after(expression, "Europe/Berlin", moment)
    except Invalid:
        return
    if following is not None:
        assert following > moment
        between = max(moment, following - back - timedelta.resolution)
        assert cron.next_after(expression, "Europe/Berlin", between) == following


# -- what cronsim does not read -------------------------------------------------------------


def dates_of(expression: str, year: int) -> list[date]:
    moment = datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    found = successive(expression, moment, 400)
    return [each.date() for each in found if each.year == year]


def nearest_weekday(year: int, month: int, day: int) -> date:
    last = calendar.monthrange(year, month)[1]
    candidates = [date(year, month, each) for each in range(1, last + 1)]
    weekdays = [each for each in candidates if each.weekday() < 5]
    return min(weekdays, key=lambda each: abs(each.day - min(day, last)))


@pytest.mark.parametrize("day", [1, 2, 15, 16, 30, 31])
def test_w_is_the_nearest_weekday_within_the_month(day: int) -> None:
    for year in range(2024, 2030):
        expected = [nearest_weekday(year, month, day) for month in range(1, 13)]
        assert dates_of(f"0 0 {day}W * *", year) == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0 0 ? * MON", "0 0 * * 1"),
        ("0 0 1 * ?", "0 0 1 * *"),
        ("0 0 * * FRIL", "0 0 * * 5L"),
        ("0 0 * * L5", "0 0 * * 5L"),
        ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
        ("0 23-4/2 * * *", "0 1,3,23 * * *"),
        ("0 0 * * FRI-MON", "0 0 * * 0,1,5,6"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * NOV-FEB *", "0 0 * 1,2,11,12 *"),
        ("5-5 * * * *", "5 * * * *"),
        ("59/15 * * * *", "59 * * * *"),
        ("0/15 * * * *", "*/15 * * * *"),
        ("0 0 * * MON#2,FRI", "0 0 * * FRI,MON#2"),
        ("@hourly", "0 * * * *"),
        ("@Weekly", "0 0 * * SUN"),
    ],
)
def test_other_ways_to_write_the_same(written: str, meant: str) -> None:
    assert successive(written, NEW_YEAR, 30) == successive(meant, NEW_YEAR, 30)


def test_two_restricted_days_are_alternatives() -> None:
    assert successive("0 0 13 * FRI", NEW_YEAR, 4) == times(
        "2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"
    )
    assert successive("0 0 1 * MON#2", NEW_YEAR, 3) == times(
        "2026-01-12", "2026-02-01", "2026-02-09"
    )


def test_a_day_that_starts_with_a_star_must_match_too() -> None:
    assert successive("0 0 */10 * SUN", NEW_YEAR, 2) == times("2026-01-11", "2026-02-01")


def test_a_list_may_hold_weekdays_and_nth_weekdays() -> None:
    assert successive("0 0 * * SUN,MON#2", NEW_YEAR, 4) == times(
        "2026-01-04", "2026-01-11", "2026-01-12", "2026-01-18"
    )


def test_the_rarest_date_there_is_is_found() -> None:
    sundays = [date(year, 2, 29) for year in range(2060, 2200, 4) if calendar.isleap(year)]
    sundays = [each for each in sundays if each.weekday() == calendar.SUNDAY]
    found = successive("0 0 29 2 */7", datetime(2060, 1, 1, tzinfo=UTC), len(sundays))
    assert [each.date() for each in found] == sundays
    assert max(b.year - a.year for a, b in pairwise(sundays)) == 40


def test_the_example_of_the_documents() -> None:
    friday = datetime(2026, 11, 20, 1, 10, 31, tzinfo=UTC)
    assert successive("31 10-15 1 * * MON-FRI", friday, 6)[-2:] == times(
        "2026-11-20T01:15:31", "2026-11-23T01:10:31"
    )


def test_nothing_comes_after_the_calendars_end() -> None:
    last = datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert cron.next_after("0 0 1 1 *", "UTC", last) is None
    assert cron.next_after("* * * * *", "Pacific/Kiritimati", last) is None
    assert cron.next_after("* * * * * *", "UTC", last) == last + timedelta(seconds=1)


def test_a_fraction_of_a_second_changes_nothing() -> None:
    moment = NEW_YEAR + timedelta(seconds=59, microseconds=999_999)
    assert cron.next_after("* * * * *", "UTC", moment) == NEW_YEAR + timedelta(minutes=1)
    assert cron.next_after("* * * * *", "UTC", NEW_YEAR + timedelta(seconds=60)) == (
        NEW_YEAR + timedelta(minutes=2)
    )


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        cron.next_after("* * * * *", "UTC", NEW_YEAR.replace(tzinfo=None))


def test_a_question_leaves_no_trace_in_what_threads_share() -> None:
    pattern = "29 2 0,1,2"
    calendar_of_pattern = cron._calendar(pattern)
    before = dict(vars(calendar_of_pattern))
    assert cron._date_from(pattern, date(2031, 5, 17)) == date(2032, 2, 29)
    assert cron._calendar(pattern) is calendar_of_pattern
    assert vars(calendar_of_pattern) == before


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "Has 0 fields"),
        ("* * * *", "Has 4 fields"),
        ("0 0 12 * * ? 2030", "use starts_at and ends_at"),
        ("60 * * * *", "The minute '60' is not understood; use 0-59"),
        ("* 24 * * *", "The hour '24' is not understood; use 0-23"),
        ("0 0 0 * *", "The day of month '0' is not understood; use 1-31"),
        ("0 0 32 * *", "The day of month '32'"),
        ("0 0 * 13 *", "The month '13' is not understood; use 1-12 or JAN-DEC"),
        ("0 0 * FOO *", "The month 'FOO'"),
        ("0 0 * * 8", "The day of week '8' is not understood; use 0-7 or SUN-SAT"),
        ("0 0 * * L", "5L for the last one"),
        ("0 0 * * MON#6", "The day of week 'MON#6'"),
        ("0 0 * * MON-FRI#2", "The day of week 'MON-FRI#2'"),
        ("0 0 LW * *", "The day of month 'LW'"),
        ("0 0 L-3 * *", "The day of month 'L-3'"),
        ("0 0 1W,15 * *", "W does not go in lists"),
        ("0 0 32W * *", "The day of month '32W'"),
        ("60 * * * * *", "The second '60'"),
        ("H * * * *", "spread jobs with jitter_seconds instead"),
        ("H(0-5)/2 * * * *", "jitter_seconds instead"),
        ("R * * * *", "jitter_seconds instead"),
        (
            "*/90 * * * *",
            "The step /90 does not fit the minute; use 1-60, or schedule_type 'inter",
        ),
        ("*/0 * * * *", "The step /0"),
        ("1,,2 * * * *", "The minute ''"),
        ("1-2-3 * * * *", "The minute '1-2-3'"),
        ("*-5 * * * *", r"The minute '\*-5'"),
        ("-5 * * * *", "The minute '-5'"),
        ("+5 * * * *", r"The minute '\+5'"),
        ("? * * * *", r"The minute '\?'"),
        ("\u0663 * * * *", "The minute"),
        ("\u00b2 * * * *", "The minute"),
        ("\x00 * * * *", "The minute"),
        ("@reboot", "use @yearly"),
        ("@every 5m", "schedule_type 'interval'"),
        ("0 0 30 2 *", "names a date that never comes"),
        ("0 0 31 4,6,9,11 *", "names a date that never comes"),
        ("0 0 */31 2 MON#2", "names a date that never comes"),
        ("1," * 150 + "1 * * * *", "at most 256 characters"),
        (None, "Must be a string"),
        (5, "Must be a string"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_remedy(expression: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        cron.check(expression)
    assert list(refused.value.fields) == ["cron_expression"]


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40) | st.text(alphabet="0123456789*/,-#LWHR? @abcMON", max_size=30))
def test_no_text_breaks_anything(text: str) -> None:
    assert isinstance(cron.describe(text), str)
    try:
        normalised = cron.check(text)
    except Invalid:
        return
    assert cron.check(normalised) == normalised
    assert cron.next_after(normalised, "UTC", NEW_YEAR) is not None


def test_a_checked_expression_has_single_spaces_and_no_macros() -> None:
    assert cron.check("  0\t9 * *\u00a0MON-FRI\n") == "0 9 * * MON-FRI"
    assert cron.check(" @Daily ") == "0 0 * * *"


# -- in words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 9 * * 1", "At 09:00, only on Monday"),
        ("0 17 * * MON-FRI", "At 17:00, Monday through Friday"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("*/20 * * * * *", "Every 20 seconds"),
        ("@daily", "At 00:00"),
        ("0 0 ? * FRIL", "At 00:00, on the last Friday of the month"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
        ("0 0 15W * *", "At 00:00, on the weekday nearest day 15 of the month"),
        ("0 0 1 * MON", "At 00:00, on day 1 of the month; also at 00:00, on Monday"),
        (
            "0 0 1-7 * MON-FRI",
            "At 00:00, between day 1 and 7 of the month; also at 00:00, Monday through Friday",
        ),
        ("0 0 */2 * MON", "At 00:00, every 2 days, and only on Monday"),
        (
            "0 0 * * MON,FRI#3",
            "At 00:00, on Monday; also at 00:00, on the third Friday of the month",
        ),
        (
            "0 0 1,L * *",
            "At 00:00, on day 1 of the month; also at 00:00, on the last day of the month",
        ),
    ],
)
def test_an_expression_says_what_it_means(expression: str, words: str) -> None:
    assert cron.describe(expression) == words


def test_an_expression_without_words_describes_itself() -> None:
    assert cron.describe("every full moon") == "every full moon"

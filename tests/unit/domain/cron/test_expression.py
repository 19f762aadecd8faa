"""Cron expressions on a calendar without clock changes, against cronsim and by hand."""

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chronos_common.domain.cron import dates as cron_dates
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.dates import DayMatch
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
DAYS = fields(1, 31, 31, st.sampled_from(["L", "LW"])) | st.sampled_from(["*", "L", "2-31,L"])
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


@settings(deadline=None, max_examples=200)
@given(dates=DATES, moment=MOMENTS)
def test_with_all_a_date_must_match_day_and_weekday(
    dates: tuple[str, str, str], moment: datetime
) -> None:
    day, month, weekday = dates
    both = cron.parse(f"0 0 {day} {month} {weekday}", DayMatch.ALL)
    by_day, by_weekday = cron.parse(f"0 0 {day} {month} *"), cron.parse(f"0 0 * {month} {weekday}")
    for days in range(60):
        each = moment.date() + timedelta(days=days)
        assert both.names(each) == (by_day.names(each) and by_weekday.names(each))


def test_a_day_match_is_a_part_of_the_question() -> None:
    assert cron.next_after("0 0 13 * FRI", "UTC", NEW_YEAR) == times("2026-01-02")[0]
    found = cron.next_after("0 0 13 * FRI", "UTC", NEW_YEAR, DayMatch.ALL)
    assert found == times("2026-02-13")[0]
    assert cron.describe("0 0 13 * FRI", DayMatch.ALL) == (
        "At 00:00 on day 13 of the month, but only on Fridays"
    )


def test_days_that_never_meet_are_refused() -> None:
    assert cron.check("0 0 1W * SUN") == "0 0 1W * SUN"
    with pytest.raises(Invalid, match="never comes"):
        cron.check("0 0 1W * SUN", DayMatch.ALL)


# -- what cronsim does not read -------------------------------------------------------------


def dates_of(expression: str, year: int) -> list[date]:
    moment = datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    found = successive(expression, moment, 400)
    return [each.date() for each in found if each.year == year]


def days_of(year: int, month: int) -> list[date]:
    last = calendar.monthrange(year, month)[1]
    return [date(year, month, each) for each in range(1, last + 1)]


def nearest_weekday(day: date) -> date:
    weekdays = [each for each in days_of(day.year, day.month) if each.weekday() < 5]
    return min(weekdays, key=lambda each: abs(each - day))


def months_of(year: int) -> list[list[date]]:
    return [days_of(year, month) for month in range(1, 13)]


@pytest.mark.parametrize("day", [1, 2, 15, 16, 30, 31])
def test_w_is_the_nearest_weekday_within_the_month(day: int) -> None:
    for year in range(2024, 2030):
        expected = [nearest_weekday(days[:day][-1]) for days in months_of(year)]
        assert dates_of(f"0 0 {day}W * *", year) == expected


@pytest.mark.parametrize("back", [0, 1, 3, 27, 28, 30])
def test_days_are_counted_back_from_the_end_of_the_month(back: int) -> None:
    for year in range(2024, 2030):
        expected = [days[-1 - back] for days in months_of(year) if back < len(days)]
        assert dates_of(f"0 0 L-{back} * *", year) == expected
        weekdays = [nearest_weekday(day) for day in expected]
        assert dates_of(f"0 0 L-{back}W * ?", year) == weekdays
    assert dates_of("0 14 LW * ?", 2020)[8:11] == [
        date(2020, 9, 30),
        date(2020, 10, 30),
        date(2020, 11, 30),
    ]


@pytest.mark.parametrize("count", range(1, 32))
def test_a_list_with_the_last_day_is_its_numbers_and_the_last_day(count: int) -> None:
    # Of each length, and with one number left out: no list of 31 items is every day.
    for numbers in (range(1, count + 1), range(32 - count, 32)):
        text = ",".join(["L", *map(str, numbers)])
        expected = [
            day
            for days in months_of(2027)
            for day in days
            if day.day in numbers or day == days[-1]
        ]
        assert dates_of(f"0 0 {text} * *", 2027) == expected
        assert dates_of(f"0 0 {text} * ?", 2027) == expected


def test_thirty_days_and_the_last_one_are_not_every_day() -> None:
    moment = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert successive("0 0 2-31,L * *", moment, 2) == times("2027-01-02", "2027-01-03")


def test_one_nth_of_each_weekday_is_not_every_day() -> None:
    text = ",".join(f"{weekday}#1" for weekday in range(7))
    assert {day.day for day in dates_of(f"0 0 * * {text}", 2027)} == set(range(1, 8))
    text = ",".join(f"{weekday}L" for weekday in range(7))
    assert len(dates_of(f"0 0 * * {text}", 2027)) == 7 * 12


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
        ("0 0 1W,L * *", "0 0 L,1W * *"),
        ("0 0 l * *", "0 0 L-0 * *"),
        ("0 0 LW,L-3W,L-3 * *", "0 0 L-3,L-0W,L-3W * *"),
        ("0 0 1-31 * MON", "0 0 * * *"),
        ("0 0 13 * SUN-SAT", "0 0 * * *"),
        ("0 0 13 * ?", "0 0 13 * *"),
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
    rule = cron_dates.read("29", "2", "*/1")
    shared = cron_dates._calendar(rule)
    before = dict(vars(shared))
    assert rule.first_from(date(2031, 5, 17)) == date(2032, 2, 29)
    assert cron_dates._calendar(rule) is shared
    assert vars(shared) == before


@settings(deadline=None, max_examples=200)
@given(dates=DATES, moment=MOMENTS)
def test_croniter_finds_the_dates_that_a_look_at_each_month_finds(
    dates: tuple[str, str, str], moment: datetime
) -> None:
    rule = cron_dates.read(*(field.upper() for field in dates))
    assume(not rule.days.move and not rule.weekdays.move)
    asked = rule, moment.year, moment.month
    assert cron_dates._by_croniter(*asked) == cron_dates._by_month(*asked)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "Has 0 fields"),
        ("* * * *", "Has 4 fields"),
        ("60 * * * *", "The minute '60' is not understood; use 0-59"),
        ("* 24 * * *", "The hour '24' is not understood; use 0-23"),
        ("0 0 0 * *", "The day of month '0' is not understood; use 1-31"),
        ("0 0 32 * *", "The day of month '32'"),
        ("0 0 * 13 *", "The month '13' is not understood; use 1-12 or JAN-DEC"),
        ("0 0 * FOO *", "The month 'FOO'"),
        ("0 0 * * 8", "The day of week '8' is not understood; use 0-7 or SUN-SAT"),
        ("0 0 * * MON#6", "The day of week 'MON#6'"),
        ("0 0 32W * *", "The day of month '32W'"),
        ("0 0 L-31 * *", "'L-31' is in no month; use L-1 to L-30"),
        (
            "0 0 L+3 * *",
            r"The day of month 'L\+3' is not understood; .* L-3 for three days before",
        ),
        ("0 0 L-30 2 *", "names a date that never comes"),
        ("@foo", "use @yearly"),
        ("60 * * * * *", "The second '60'"),
        (
            "*/90 * * * *",
            "The step /90 does not fit the minute; use 1-60, or schedule_type 'inter",
        ),
        ("*/0 * * * *", "The step /0"),
        ("1,,2 * * * *", "The minute has a comma without a value"),
        ("1-2-3 * * * *", "The minute '1-2-3'"),
        ("*-5 * * * *", r"The minute '\*-5'"),
        ("-5 * * * *", "The minute '-5'"),
        ("+5 * * * *", r"The minute '\+5'"),
        ("? * * * *", r"The minute '\?'"),
        ("\u0663 * * * *", "The minute"),
        ("\u00b2 * * * *", "The minute"),
        ("\x00 * * * *", "The minute"),
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
    try:
        normalised = cron.check(text)
    except Invalid:
        return
    assert cron.check(normalised) == normalised
    assert cron.next_after(normalised, "UTC", NEW_YEAR) is not None
    assert cron.describe(text) == cron.describe(normalised)


def test_a_checked_expression_has_single_spaces_and_no_macros() -> None:
    assert cron.check("  0\t9 * *\u00a0MON-FRI\n") == "0 9 * * MON-FRI"
    assert cron.check(" @Daily ") == "0 0 * * *"

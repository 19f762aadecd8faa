"""Counting instants gives what naming them gives, clock changes included."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.schedules import counting
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind

SECOND = timedelta(seconds=1)
SMALLEST = datetime.resolution

# Spans around changes of clocks, and plain ones.
STARTS = st.sampled_from(
    [
        datetime(2026, 3, 28, 20, tzinfo=UTC),  # Berlin, spring
        datetime(2026, 10, 24, 22, tzinfo=UTC),  # Berlin, autumn
        datetime(2026, 4, 4, 12, tzinfo=UTC),  # Lord Howe, half an hour back
        datetime(2026, 10, 3, 12, tzinfo=UTC),  # Lord Howe, half an hour forth
        datetime(2026, 2, 28, 3, tzinfo=UTC),
        datetime(2026, 11, 21, 7, tzinfo=UTC),
    ]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])
FIELD = st.sampled_from(["0", "*", "30", "*/7", "1-5", "10,50"])
EXPRESSIONS = st.builds(
    "{} {} {} {} * {}".format,
    st.sampled_from(["0", "5,35", "*/20"]),
    FIELD,
    st.sampled_from(["*", "2", "1-3", "*/6", "0,23"]),
    st.sampled_from(["*", "28-31", "1", "L"]),
    st.sampled_from(["*", "SUN", "MON-FRI"]),
)
# Milliseconds, as schedules have them.
SHIFTS = st.integers(0, 100_000_000).map(lambda each: each * timedelta(milliseconds=1))


def named(schedule: Schedule, start: datetime, end: datetime) -> int:
    return len(list(schedule.instants_between(start - SMALLEST, end - SMALLEST, 100_000)))


@settings(max_examples=200)
@given(
    EXPRESSIONS,
    ZONES,
    STARTS,
    SHIFTS,
    SHIFTS,
    st.integers(0, 3_600_000),
    st.booleans(),
    st.sampled_from(DayMatch),
)
def test_a_cron_expression_has_as_many_instants_as_it_names(
    expression: str,
    timezone: str,
    start: datetime,
    shift: timedelta,
    length: timedelta,
    jitter_ms: int,
    bounded: bool,  # noqa: FBT001 - drawn
    day_match: DayMatch,
) -> None:
    start += shift
    end = start + length
    schedule = Schedule(
        kind=ScheduleKind.CRON,
        expression=expression,
        timezone=timezone,
        day_match=day_match,
        jitter=timedelta(milliseconds=jitter_ms),
        starts_at=start + length / 5 if bounded else None,
        ends_at=end - length / 5 if bounded else None,
    )
    assert counting.between(schedule, start, end) == named(schedule, start, end)


@given(STARTS, SHIFTS, SHIFTS, st.integers(500, 100_000), st.sampled_from(["interval", "once"]))
def test_intervals_and_single_instants_are_counted(
    anchor: datetime, shift: timedelta, length: timedelta, seconds: int, kind: str
) -> None:
    schedule = Schedule(
        kind=ScheduleKind(kind),
        anchor=anchor,
        interval_seconds=seconds if kind == "interval" else None,
        jitter=timedelta(milliseconds=seconds),
    )
    start = anchor + shift - timedelta(hours=14)
    assert counting.between(schedule, start, start + length) == named(
        schedule, start, start + length
    )


@pytest.mark.parametrize("instant", ["2026-03-29T01:00:00", "2026-10-25T01:00:00"])
@pytest.mark.parametrize(
    "expression", ["0 30 2 * * *", "* * * * * *", "0 0 3 * * *", "0 30 * * * *"]
)
def test_every_five_minutes_around_a_change_add_up(expression: str, instant: str) -> None:
    schedule = Schedule(kind=ScheduleKind.CRON, expression=expression, timezone="Europe/Berlin")
    start = datetime.fromisoformat(instant).replace(tzinfo=UTC) - timedelta(hours=2)
    step = timedelta(minutes=5)
    for index in range(48):
        at = start + index * step
        assert counting.between(schedule, at, at + step) == named(schedule, at, at + step), at


@given(
    EXPRESSIONS | st.integers(1, 100_000),
    STARTS,
    st.lists(SHIFTS, min_size=2, max_size=8, unique=True),
    st.booleans(),
)
def test_instants_are_spread_over_the_spans_they_lie_in(
    rule: str | int,
    start: datetime,
    shifts: list[timedelta],
    bounded: bool,  # noqa: FBT001 - drawn
) -> None:
    bounds = [start + shift for shift in sorted(shifts)]
    is_cron = isinstance(rule, str)
    schedule = Schedule(
        kind=ScheduleKind.CRON if is_cron else ScheduleKind.INTERVAL,
        expression=rule if isinstance(rule, str) else None,
        interval_seconds=None if isinstance(rule, str) else rule,
        anchor=None if is_cron else start + timedelta(hours=3),
        timezone="Europe/Berlin",
        ends_at=start + timedelta(hours=12) if bounded else None,
    )
    assert counting.spread(schedule, bounds) == [
        counting.between(schedule, *pair) for pair in pairwise(bounds)
    ]


def test_what_is_empty_has_nothing() -> None:
    schedule = Schedule(kind=ScheduleKind.CRON, expression="* * * * * *")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert (
        counting.between(schedule, now, now) == counting.between(schedule, now, now - SECOND) == 0
    )


def test_a_job_of_every_second_costs_no_more_than_another() -> None:
    schedule = Schedule(kind=ScheduleKind.CRON, expression="* * * * * *", timezone="Asia/Tokyo")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    started = time.process_time()
    for _ in range(100):
        assert counting.between(schedule, now, now + timedelta(days=7)) == 604_800
    # Naming them takes seconds, each time.
    assert time.process_time() - started < 1


@given(number=st.integers(1, 400), days=st.integers(0, 400))
def test_enough_instants_are_found_or_not(number: int, days: int) -> None:
    schedule = Schedule(ScheduleKind.CRON, "30 2 * * *", "Europe/Berlin")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = counting.reaches(schedule, start, start + timedelta(days=days), number)
    assert found == (counting.between(schedule, start, start + timedelta(days=days)) >= number)


def test_beyond_some_years_it_is_not_told_whether_they_are_enough() -> None:
    schedule = Schedule(ScheduleKind.CRON, "30 2 * * *", "UTC")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + 10 * counting.COUNTED
    assert counting.reaches(schedule, start, end, 1400) is True
    assert counting.reaches(schedule, start, end, 2000) is None
    assert counting.reaches(schedule, start, end, 10**6) is False

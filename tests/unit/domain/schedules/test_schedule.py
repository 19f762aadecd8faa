"""Schedules: their instants, their bounds, and what users may ask for."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chronos_common.domain.schedules.fields import from_fields
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind, jitter_of
from chronos_common.errors import Invalid

JOB = UUID("01900000-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def interval(seconds: int, anchor: datetime = NOON, **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=seconds, anchor=anchor, **others)


def cron(expression: str, timezone: str = "UTC", **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, timezone=timezone, **others)


def once(anchor: datetime = NOON, **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.ONCE, anchor=anchor, **others)


# -- instants ---------------------------------------------------------------------------------

MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda each: datetime.fromtimestamp(0, UTC) + each * MILLISECOND
)
JITTERS = st.integers(0, 3_600_000).map(lambda each: each * MILLISECOND)
EXPRESSIONS = st.sampled_from(
    ["* * * * *", "*/10 * * * * *", "0 9 * * MON-FRI", "30 2 * * *", "0 0 L * *", "0 0 1 1 *"]
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    bounds = sorted(draw(st.lists(MOMENTS, min_size=2, max_size=2, unique=True)))
    others: dict[str, Any] = {
        "starts_at": draw(st.sampled_from([None, bounds[0]])),
        "ends_at": draw(st.sampled_from([None, bounds[1]])),
        "jitter": draw(JITTERS | st.just(timedelta(0))),
    }
    kind = draw(st.sampled_from(ScheduleKind))
    if kind is ScheduleKind.CRON:
        zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
        return cron(draw(EXPRESSIONS), zone, **others)
    if kind is ScheduleKind.INTERVAL:
        return interval(draw(st.integers(1, 31_536_000)), draw(MOMENTS), **others)
    return once(draw(MOMENTS), **others)


@settings(deadline=None, max_examples=300)
@given(schedule=schedules(), moment=MOMENTS)
def test_instants_rise_strictly_within_the_bounds(schedule: Schedule, moment: datetime) -> None:
    found = schedule.upcoming(moment, 5)
    assert [moment, *found] == sorted({moment, *found})
    for instant in found:
        assert schedule.starts_at is None or instant >= schedule.starts_at
        assert schedule.ends_at is None or instant <= schedule.ends_at
        assert instant.microsecond % 1000 == 0
        assert instant.utcoffset() == timedelta(0)


@settings(deadline=None, max_examples=300)
@given(schedule=schedules(), moment=MOMENTS, fraction=st.floats(0, 1, exclude_max=True))
def test_a_restart_at_any_moment_goes_on_with_the_same_instant(
    schedule: Schedule, moment: datetime, fraction: float
) -> None:
    following = schedule.next_after(moment)
    assume(following is not None)
    assert following is not None
    between = moment + (following - moment) * fraction
    assume(between < following)
    assert schedule.next_after(between) == following
    assert schedule.first_at_or_after(following) == following
    assert schedule.first_at_or_after(between + timedelta.resolution) == following


@settings(deadline=None, max_examples=200)
@given(schedule=schedules(), moment=MOMENTS)
def test_jitter_shifts_every_instant_by_the_same(schedule: Schedule, moment: datetime) -> None:
    shifted = replace(schedule, starts_at=None, ends_at=None)
    unshifted = replace(shifted, jitter=timedelta(0))
    plain = unshifted.upcoming(moment, 3)
    assert shifted.upcoming(moment + schedule.jitter, 3) == [
        each + schedule.jitter for each in plain
    ]


@settings(deadline=None, max_examples=200)
@given(
    seconds=st.integers(1, 31_536_000), anchor=MOMENTS, steps=st.integers(0, 1000), moment=MOMENTS
)
def test_an_interval_never_drifts(
    seconds: int, anchor: datetime, steps: int, moment: datetime
) -> None:
    schedule = interval(seconds, anchor)
    in_rhythm = anchor + steps * seconds * SECOND
    assert schedule.next_after(in_rhythm) == in_rhythm + seconds * SECOND
    following = schedule.next_after(moment)
    assert following is not None
    assert (following - anchor) % (seconds * SECOND) == timedelta(0)
    assert following == anchor or following - moment <= seconds * SECOND


def test_an_interval_starts_with_its_anchor() -> None:
    assert interval(60).upcoming(NOON - timedelta(days=9), 2) == [NOON, NOON + 60 * SECOND]
    assert interval(60).next_after(NOON) == NOON + 60 * SECOND


def test_a_million_years_worth_of_steps_takes_no_time() -> None:
    far = datetime(9998, 1, 1, tzinfo=UTC)
    assert interval(1, NOON).next_after(far) == far + SECOND


def test_nothing_comes_after_the_calendars_end() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert interval(60).next_after(last) is None
    assert interval(60, jitter=timedelta(hours=1)).next_after(last) is None
    assert cron("* * * * *").next_after(last) is None


def test_once_is_once() -> None:
    assert once().upcoming(NOON - SECOND, 5) == [NOON]
    assert once().next_after(NOON) is None
    assert once().first_at_or_after(NOON) == NOON


def test_both_bounds_are_inclusive() -> None:
    schedule = interval(60, starts_at=NOON, ends_at=NOON + 120 * SECOND)
    expected = [NOON, NOON + 60 * SECOND, NOON + 120 * SECOND]
    assert schedule.upcoming(NOON - timedelta(days=1), 9) == expected
    schedule = cron("0 12 * * *", starts_at=NOON, ends_at=NOON + timedelta(days=1))
    assert schedule.upcoming(NOON - timedelta(days=9), 9) == [NOON, NOON + timedelta(days=1)]


def test_bounds_apply_to_the_shifted_instants() -> None:
    schedule = interval(60, jitter=5 * SECOND, starts_at=NOON + SECOND, ends_at=NOON + 60 * SECOND)
    assert schedule.upcoming(NOON - timedelta(days=1), 9) == [NOON + 5 * SECOND]


def test_instants_between_include_the_end_but_not_the_beginning() -> None:
    schedule = interval(60)
    found = schedule.instants_between(NOON, NOON + 180 * SECOND, 10)
    assert list(found) == [NOON + each * SECOND for each in (60, 120, 180)]
    assert len(list(schedule.instants_between(NOON, NOON + timedelta(days=1), 10))) == 10
    assert list(schedule.instants_between(NOON, NOON, 10)) == []


def test_an_anchor_of_another_offset_gives_instants_in_utc() -> None:
    anchor = NOON.astimezone(timezone(timedelta(hours=3)))
    found = interval(60, anchor).next_after(NOON)
    assert found == NOON + 60 * SECOND
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("kind", ScheduleKind)
def test_a_schedule_without_the_fields_of_its_kind_is_an_error(kind: ScheduleKind) -> None:
    with pytest.raises(ValueError, match="lacks"):
        Schedule(kind=kind).next_after(NOON)


# -- jitter -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(job_id=st.uuids(), jitter_seconds=st.floats(0, 3600))
def test_jitter_is_fixed_and_smaller_than_its_bound(job_id: UUID, jitter_seconds: float) -> None:
    jitter = jitter_of(job_id, jitter_seconds)
    assert timedelta(0) <= jitter < timedelta(seconds=max(jitter_seconds, 0.001))
    assert jitter % MILLISECOND == timedelta(0)
    assert jitter == jitter_of(job_id, jitter_seconds)


def test_jitter_spreads_jobs_over_all_of_its_bound() -> None:
    tenths = {jitter_of(UUID(int=each), 10).seconds for each in range(1000)}
    assert tenths == set(range(10))


# -- what users ask for -----------------------------------------------------------------------

NOW = NOON + timedelta(microseconds=123_456)
CRON = {"schedule_type": "cron", "cron_expression": "0 9 * * MON"}
INTERVAL = {"schedule_type": "interval", "interval_seconds": 60}
ONCE = {"schedule_type": "once", "run_at": NOON + timedelta(hours=1)}


def asked(fields: dict[str, Any], **others: Any) -> Schedule:
    return from_fields(fields | others, job_id=JOB, now=NOW)


def refusals(fields: dict[str, Any], **others: Any) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        asked(fields, **others)
    return refused.value.fields


def test_a_cron_schedule_is_made_of_its_fields() -> None:
    schedule = asked(CRON, cron_expression=" @daily ", timezone="Europe/Berlin", name="ignored")
    assert schedule == cron("0 0 * * *", "Europe/Berlin")
    assert schedule.next_after(NOW) == datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


def test_an_interval_first_runs_one_interval_from_now() -> None:
    schedule = asked(INTERVAL)
    cut = NOON + 123 * MILLISECOND
    assert schedule.next_after(NOW) == schedule.first_at_or_after(NOW) == cut + 60 * SECOND
    shifted = asked(INTERVAL, jitter_seconds=10)
    assert shifted.next_after(NOW) == cut + 60 * SECOND + jitter_of(JOB, 10)


def test_an_interval_counts_from_starts_at() -> None:
    start = NOON + timedelta(days=1)
    assert asked(INTERVAL, starts_at=start).next_after(NOW) == start
    past = NOON - timedelta(seconds=90)
    assert asked(INTERVAL, starts_at=past).next_after(NOW) == NOON + timedelta(seconds=30)


def test_once_runs_at_its_time() -> None:
    berlin = timezone(timedelta(hours=1))
    schedule = asked(ONCE, run_at=datetime(2026, 11, 21, 15, 0, 0, 1999, tzinfo=berlin))
    assert schedule.upcoming(NOW, 9) == [datetime(2026, 11, 21, 14, 0, 0, 1000, tzinfo=UTC)]


@pytest.mark.parametrize("seconds", [0, 0.0005, 30, 59])
def test_a_run_at_that_just_went_by_runs_now(seconds: float) -> None:
    schedule = asked(ONCE, run_at=NOW - timedelta(seconds=seconds))
    following = schedule.next_after(NOW)
    assert following is not None
    assert timedelta(0) < following - NOW <= MILLISECOND


def test_a_run_at_in_the_past_is_refused() -> None:
    wrong = refusals(ONCE, run_at=NOW - timedelta(seconds=61))
    assert wrong == {
        "run_at": ["Lies in the past; give a time to come, or execute the job at once."]
    }


def test_nulls_are_as_good_as_nothing() -> None:
    assert asked(INTERVAL, cron_expression=None, timezone=None, jitter_seconds=None) == (
        asked(INTERVAL)
    )


@pytest.mark.parametrize(
    ("fields", "others", "wrong"),
    [
        ({}, {}, "schedule_type"),
        ({"schedule_type": "hourly"}, {}, "schedule_type"),
        ({"schedule_type": ["cron"]}, {}, "schedule_type"),
        ({"schedule_type": "cron"}, {}, "cron_expression"),
        ({"schedule_type": "interval"}, {}, "interval_seconds"),
        ({"schedule_type": "once"}, {}, "run_at"),
        (CRON, {"cron_expression": "61 * * * *"}, "cron_expression"),
        (CRON, {"cron_expression": 5}, "cron_expression"),
        (CRON, {"interval_seconds": 60}, "interval_seconds"),
        (CRON, {"run_at": NOON + timedelta(hours=1)}, "run_at"),
        (INTERVAL, {"cron_expression": "* * * * *"}, "cron_expression"),
        (ONCE, {"interval_seconds": 60}, "interval_seconds"),
        (CRON, {"timezone": "Berlin/Europe"}, "timezone"),
        (CRON, {"timezone": 1}, "timezone"),
        (INTERVAL, {"interval_seconds": 0}, "interval_seconds"),
        (INTERVAL, {"interval_seconds": -1}, "interval_seconds"),
        (INTERVAL, {"interval_seconds": 31_536_001}, "interval_seconds"),
        (INTERVAL, {"interval_seconds": 1.5}, "interval_seconds"),
        (INTERVAL, {"interval_seconds": True}, "interval_seconds"),
        (INTERVAL, {"interval_seconds": "60"}, "interval_seconds"),
        (INTERVAL, {"jitter_seconds": -1}, "jitter_seconds"),
        (INTERVAL, {"jitter_seconds": 3601}, "jitter_seconds"),
        (INTERVAL, {"jitter_seconds": math.nan}, "jitter_seconds"),
        (INTERVAL, {"jitter_seconds": math.inf}, "jitter_seconds"),
        (INTERVAL, {"jitter_seconds": False}, "jitter_seconds"),
        (INTERVAL, {"jitter_seconds": "5"}, "jitter_seconds"),
        (ONCE, {"run_at": "2026-11-21T13:00:00Z"}, "run_at"),
        (ONCE, {"run_at": NOON.replace(tzinfo=None)}, "run_at"),
        (ONCE, {"run_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-9)))}, "run_at"),
        (CRON, {"starts_at": NOON.replace(tzinfo=None)}, "starts_at"),
        (CRON, {"starts_at": datetime.min.replace(tzinfo=timezone.max)}, "starts_at"),
        (CRON, {"ends_at": 5}, "ends_at"),
        (CRON, {"starts_at": NOON, "ends_at": NOON}, "ends_at"),
        (CRON, {"starts_at": NOON, "ends_at": NOON - SECOND}, "ends_at"),
        (CRON, {"ends_at": NOON + timedelta(hours=1)}, "ends_at"),
        (CRON, {"ends_at": NOON - timedelta(hours=1)}, "ends_at"),
        (INTERVAL, {"ends_at": NOON + 59 * SECOND}, "ends_at"),
        (ONCE, {"ends_at": NOON + 59 * SECOND}, "ends_at"),
        (ONCE, {"starts_at": NOON + timedelta(hours=2)}, "starts_at"),
    ],
)
def test_a_wrong_field_is_named(
    fields: dict[str, Any], others: dict[str, Any], wrong: str
) -> None:
    assert list(refusals(fields, **others)) == [wrong]


def test_the_first_run_is_named_when_ends_at_comes_before_it() -> None:
    message = "Lies before the first run, 2026-11-23 09:00:00 UTC; move or remove it."
    assert refusals(CRON, ends_at=NOON + timedelta(days=1)) == {"ends_at": [message]}


def test_all_wrong_fields_are_named_at_once() -> None:
    wrong = refusals(
        CRON,
        cron_expression="x",
        interval_seconds=0,
        run_at=5,
        timezone="Nowhere",
        starts_at=NOON,
        ends_at=NOON - SECOND,
        jitter_seconds=-1,
    )
    assert set(wrong) == {
        "cron_expression",
        "interval_seconds",
        "run_at",
        "timezone",
        "ends_at",
        "jitter_seconds",
    }
    assert len(wrong["interval_seconds"]) == 2

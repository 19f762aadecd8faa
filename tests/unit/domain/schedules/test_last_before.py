"""The last instant before a moment is the last one that naming them gives."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.schedules.counting import last_before
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind

NOW = datetime(2026, 10, 25, 1, tzinfo=UTC)
EXPRESSIONS = st.sampled_from(
    ["* * * * * *", "*/7 * * * *", "0 9 * * *", "30 2 * * *", "0 0 1 * *", "0 0 29 2 *"]
)
SHIFTS = st.integers(-(10**9), 10**9).map(lambda each: each * timedelta(milliseconds=1))


@given(EXPRESSIONS, SHIFTS, st.integers(0, 5000))
def test_nothing_lies_between_it_and_the_moment(
    expression: str, shift: timedelta, jitter_ms: int
) -> None:
    schedule = Schedule(
        kind=ScheduleKind.CRON,
        expression=expression,
        timezone="Europe/Berlin",
        jitter=timedelta(milliseconds=jitter_ms),
    )
    moment = NOW + shift
    found = last_before(schedule, moment)
    assert found is not None
    assert found < moment
    assert schedule.first_at_or_after(found) == found
    following = schedule.next_after(found)
    assert following is not None
    assert following >= moment


@given(st.integers(1, 10**6), SHIFTS)
def test_before_the_first_instant_there_is_none(seconds: int, shift: timedelta) -> None:
    schedule = Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=seconds, anchor=NOW)
    found = last_before(schedule, NOW + shift)
    if shift <= timedelta(0):
        assert found is None
    else:
        assert found is not None
        assert found < NOW + shift <= found + timedelta(seconds=seconds)
    once = Schedule(kind=ScheduleKind.ONCE, anchor=NOW)
    assert last_before(once, NOW + timedelta(days=9000)) == NOW
    assert last_before(once, NOW) is None

"""The clock changes that a schedule meets, in words, and that it runs as they say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.schedules.clock_changes import ClockChangeKind, clock_changes
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind

WINTER = datetime(2026, 12, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo")


def cron(expression: str, zone: str = "Europe/Berlin", **more: object) -> Schedule:
    return Schedule(ScheduleKind.CRON, expression, zone, **more)  # type: ignore[arg-type]


SPRING = "On Sun 28 Mar 2027 the clocks skip 02:00 to 03:00. "
AUTUMN = "On Sun 31 Oct 2027 the clocks show 02:00 to 03:00 twice. "
RHYTHM = "The job keeps its rhythm, and "


@pytest.mark.parametrize(
    ("expression", "spring", "autumn"),
    [
        (
            "30 2 * * *",
            "02:30 does not exist, so it runs at 03:00.",
            "02:30 runs the first time only.",
        ),
        (
            "0,15,30,45 2 * * *",
            "02:00, 02:15, 02:30 and others do not exist, so it runs once, at 03:00.",
            "02:00, 02:15, 02:30 and others run the first time only.",
        ),
        ("*/15 * * * *", f"{RHYTHM}has no run between them.", f"{RHYTHM}runs both times."),
    ],
)
def test_clock_changes_are_told(expression: str, spring: str, autumn: str) -> None:
    texts = [each.describe() for each in clock_changes(cron(expression), WINTER)]
    assert texts == [SPRING + spring, AUTUMN + autumn]


@pytest.mark.parametrize("expression", ["0 9 * * *", "30 2 * * MON", "0 0 1 1 *"])
def test_a_schedule_that_no_change_meets_has_none(expression: str) -> None:
    assert clock_changes(cron(expression), WINTER) == []


def test_only_changes_within_the_bounds_of_the_schedule_are_told() -> None:
    may, june = datetime(2027, 5, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    assert clock_changes(cron("30 2 * * *", starts_at=may, ends_at=june), WINTER) == []
    autumn, _ = clock_changes(cron("30 2 * * *", starts_at=may), WINTER)
    assert autumn.at == datetime(2027, 10, 31, 1, tzinfo=UTC)
    assert clock_changes(Schedule(ScheduleKind.INTERVAL, interval_seconds=60), WINTER) == []
    assert clock_changes(cron("30 2 * * *", "UTC"), WINTER) == []


@given(
    zone=st.sampled_from(ZONES),
    minutes=st.sampled_from(["0", "30", "15,45", "*/15", "*"]),
    hours=st.sampled_from(["0", "1", "2", "1,2", "*", "*/2"]),
    jitter=st.sampled_from([timedelta(0), timedelta(seconds=7)]),
)
def test_it_runs_at_the_instants_that_are_told(
    zone: str, minutes: str, hours: str, jitter: timedelta
) -> None:
    """Fails if the preview and the engine follow different rules."""
    schedule = cron(f"{minutes} {hours} * * *", zone, jitter=jitter)
    for change in clock_changes(schedule, WINTER):
        for run in change.runs:
            assert schedule.first_at_or_after(run) == run
        if change.kind is ClockChangeKind.REPEATED:
            begin = change.at - (change.end - change.start) + jitter
            assert schedule.first_at_or_after(begin) == change.runs[0]

"""Misfires: a table of what happens to the missed, and that every occurrence has one fate."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_common.domain.schedules.misfires import (
    MAX_COUNT,
    MisfireDecision,
    MisfirePolicy,
    Missed,
    decide,
)
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import Reason

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
RUN_LATEST, RUN_ALL, SKIP = MisfirePolicy
GRACE = timedelta(seconds=60)


def every(seconds: int, **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=seconds, anchor=NOON, **others)


def cron(expression: str, timezone: str = "UTC") -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, timezone=timezone)


def decided(schedule: Schedule, **others: Any) -> MisfireDecision:
    arguments: dict[str, Any] = {
        "next_run_at": NOON,
        "now": NOON,
        "policy": RUN_LATEST,
        "grace": GRACE,
        "resumed_at": None,
        "limit": 1000,
        "runs_left": None,
    }
    return decide(schedule, **(arguments | others))


def minutes(*numbers: float) -> list[datetime]:
    return [NOON + timedelta(minutes=number) for number in numbers]


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def missed(first: float, last: float, count: int, reason: Reason = Reason.MISFIRE) -> list[Missed]:
    return [Missed(minute(first), minute(last), count, reason)]


PAUSED = Reason.PAUSED

# A job that runs every ten minutes from 12:00. All times are minutes after 12:00.
# What happened: when it is now, the policy, when the job was resumed, and how many runs are left.
# What follows: what runs, what was missed, and when the schedule goes on.
TABLE: list[tuple[float, MisfirePolicy, float | None, int | None, Any, Any, float | None]] = [
    # Nothing is late, or not by more than the grace of a minute.
    (0, SKIP, None, None, [0], [], 10),
    (1, SKIP, None, None, [0], [], 10),
    (1, RUN_LATEST, None, 1, [0], [], None),
    # Exactly one was missed.
    (1.1, RUN_LATEST, None, None, [0], [], 10),
    (1.1, RUN_ALL, None, None, [0], [], 10),
    (1.1, SKIP, None, None, [], missed(0, 0, 1), 10),
    # Several were.
    (35, RUN_LATEST, None, None, [30], missed(0, 20, 3), 40),
    (35, RUN_ALL, None, None, [0, 10, 20, 30], [], 40),
    (35, SKIP, None, None, [], missed(0, 30, 4), 40),
    # The last one is within the grace.
    (30.5, RUN_LATEST, None, None, [20, 30], missed(0, 10, 2), 40),
    (30.5, RUN_ALL, None, None, [0, 10, 20, 30], [], 40),
    (30.5, SKIP, None, None, [30], missed(0, 20, 3), 40),
    # The job was paused until shortly before now.
    (35, RUN_LATEST, 34, None, [30], missed(0, 20, 3, PAUSED), 40),
    (35, SKIP, 34, None, [], missed(0, 30, 4, PAUSED), 40),
    (35, RUN_ALL, 34, None, [0, 10, 20, 30], [], 40),
    # A pause is meant: grace does not undo it.
    (30.5, SKIP, 30.4, None, [], missed(0, 30, 4, PAUSED), 40),
    (30.5, RUN_LATEST, 30.4, None, [30], missed(0, 20, 3, PAUSED), 40),
    (30.5, SKIP, 30, None, [30], missed(0, 20, 3, PAUSED), 40),
    # The scheduler was down for a while after the job was resumed.
    (35, SKIP, 15, None, [], missed(0, 10, 2, PAUSED) + missed(20, 30, 2), 40),
    (35, RUN_LATEST, 15, None, [30], missed(0, 10, 2, PAUSED) + missed(20, 20, 1), 40),
    (35, RUN_LATEST, 25, None, [30], missed(0, 20, 3, PAUSED), 40),
    # Only what runs counts as a run; after the last one nothing is due any more.
    (35, RUN_LATEST, None, 1, [30], missed(0, 20, 3), None),
    (35, RUN_LATEST, None, 2, [30], missed(0, 20, 3), 40),
    (35, RUN_ALL, None, 4, [0, 10, 20, 30], [], None),
    (35, RUN_ALL, None, 3, [0, 10, 20], [], None),
    (35, SKIP, None, 1, [], missed(0, 30, 4), 40),
    (35, RUN_ALL, None, 0, [], [], None),
]


@pytest.mark.parametrize(
    ("now", "policy", "resumed", "runs_left", "runs", "skipped", "following"), TABLE
)
def test_the_table_of_misfires(
    now: float,
    policy: MisfirePolicy,
    resumed: float | None,
    runs_left: int | None,
    runs: Sequence[float],
    skipped: Sequence[Missed],
    following: float | None,
) -> None:
    assert decided(
        every(600),
        now=minute(now),
        policy=policy,
        resumed_at=None if resumed is None else minute(resumed),
        runs_left=runs_left,
    ) == MisfireDecision(minutes(*runs), skipped, None if following is None else minute(following))


def test_what_is_not_due_yet_is_left_alone() -> None:
    found = decided(every(600), next_run_at=minute(10), now=minute(9))
    assert found == MisfireDecision([], [], minute(10))


def test_run_all_runs_no_more_than_its_limit() -> None:
    found = decided(every(60), now=minute(100.5), policy=RUN_ALL, limit=3, grace=timedelta(0))
    assert found == MisfireDecision(minutes(98, 99, 100), missed(0, 97, 98), minute(101))


def test_a_long_grace_does_not_run_more_than_the_limit_either() -> None:
    found = decided(every(60), now=minute(100), policy=SKIP, limit=3, grace=timedelta(days=1))
    assert found == MisfireDecision(minutes(98, 99, 100), missed(0, 97, 98), minute(101))


def test_a_grace_beyond_the_calendar_is_just_long() -> None:
    found = decided(every(600), now=minute(5), grace=timedelta(days=2_000_000))
    assert found.runs == [NOON]


def test_a_planned_occurrence_counts_even_if_the_schedule_does_not_name_it_any_more() -> None:
    found = decided(every(600), next_run_at=minute(5), now=minute(6))
    assert found == MisfireDecision(minutes(5), [], minute(10))
    found = decided(every(600), next_run_at=minute(5), now=minute(25), policy=SKIP)
    assert found == MisfireDecision([], missed(5, 20, 3), minute(30))


def test_a_schedule_that_ended_meanwhile_does_not_go_on() -> None:
    found = decided(every(600, ends_at=minute(20)), now=minute(45))
    assert found == MisfireDecision(minutes(20), missed(0, 10, 2), None)


def test_a_missed_run_at_runs_late_or_not_at_all() -> None:
    once = Schedule(kind=ScheduleKind.ONCE, anchor=NOON)
    assert decided(once, now=minute(99)) == MisfireDecision([NOON], [], None)
    assert decided(once, now=minute(99), policy=SKIP) == MisfireDecision([], missed(0, 0, 1), None)


def test_cron_occurrences_are_decided_in_their_zone() -> None:
    days = [datetime(2026, 10, day, hour, 30, tzinfo=UTC) for day, hour in ((24, 0), (25, 0))]
    monday = datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    found = decided(
        cron("30 2 * * *", "Europe/Berlin"), next_run_at=days[0], now=monday + timedelta(hours=2)
    )
    assert found.runs == [monday]
    assert found.skipped == [Missed(days[0], days[1], 2, Reason.MISFIRE)]
    assert found.next_run_at == monday + timedelta(days=1)


# -- every occurrence has one fate ------------------------------------------------------------

SCHEDULES = st.sampled_from(
    [
        every(1),
        every(7, jitter=timedelta(milliseconds=123)),
        every(3600),
        every(30, ends_at=NOON + timedelta(minutes=20)),
        cron("* * * * * *"),
        cron("*/7 * * * *", "Australia/Lord_Howe"),
        cron("*/20 0-5 12 * * *"),
        cron("0 9 * * MON-FRI", "Europe/Berlin"),
        Schedule(kind=ScheduleKind.ONCE, anchor=NOON),
    ]
)
SECONDS = st.integers(0, 3000).map(lambda each: timedelta(seconds=each))


@settings(deadline=None, max_examples=300)
@given(
    schedule=SCHEDULES,
    late=SECONDS | st.integers(0, 10).map(lambda each: timedelta(days=each)),
    policy=st.sampled_from(MisfirePolicy),
    grace=SECONDS,
    pause=st.none() | SECONDS,
    limit=st.integers(1, 50),
)
def test_every_occurrence_runs_or_is_missed_and_never_both(
    schedule: Schedule,
    late: timedelta,
    policy: MisfirePolicy,
    grace: timedelta,
    pause: timedelta | None,
    limit: int,
) -> None:
    first = schedule.first_at_or_after(NOON)
    assert first is not None
    now = first + late
    resumed_at = None if pause is None else first + pause
    found = decide(
        schedule,
        next_run_at=first,
        now=now,
        policy=policy,
        grace=grace,
        resumed_at=resumed_at,
        limit=limit,
        runs_left=None,
    )
    assert found.next_run_at == schedule.next_after(now)
    assert len(found.runs) <= 2 * limit
    assert list(found.runs) == sorted(set(found.runs))
    left = set(schedule.instants_between(first - timedelta.resolution, now, 20_000))
    if len(left) == 20_000:
        return
    for instant in found.runs:
        left.remove(instant)
        assert policy is not SKIP or now - instant <= grace
    for row in found.skipped:
        inside = {each for each in left if row.first <= each <= row.last}
        assert {row.first, row.last} <= inside
        assert row.count == len(inside) if row.exact else row.count <= len(inside)
        for instant in inside:
            paused = resumed_at is not None and instant < resumed_at
            assert row.reason is (Reason.PAUSED if paused else Reason.MISFIRE)
        left -= inside
    assert left == set()


@settings(deadline=None, max_examples=100)
@given(
    schedule=SCHEDULES, late=SECONDS, policy=st.sampled_from(MisfirePolicy), runs=st.integers(1, 9)
)
def test_no_more_runs_than_are_left(
    schedule: Schedule, late: timedelta, policy: MisfirePolicy, runs: int
) -> None:
    first = schedule.first_at_or_after(NOON)
    assert first is not None
    arguments: dict[str, Any] = {"next_run_at": first, "now": first + late, "policy": policy}
    unlimited = decided(schedule, **arguments)
    found = decided(schedule, **arguments, runs_left=runs)
    assert found.runs == unlimited.runs[:runs]
    assert found.skipped == unlimited.skipped
    assert found.next_run_at == (None if len(found.runs) == runs else unlimited.next_run_at)


# -- however much was missed ------------------------------------------------------------------


@pytest.mark.parametrize("policy", MisfirePolicy)
@pytest.mark.parametrize(
    ("schedule", "late"),
    [
        (every(1), timedelta(days=3000)),
        (cron("* * * * * *"), timedelta(days=3000)),
        (cron("* * * * *", "Europe/Berlin"), timedelta(days=3000)),
        (cron("* * * 1 1 *"), timedelta(days=3000)),
        (cron("0 0 1 1 *", "America/New_York"), timedelta(days=3000)),
        (cron("0 9 * * *", "Europe/Berlin"), timedelta(days=3000)),
        (cron("0 0 29 2 */7"), timedelta(days=30_000)),
    ],
)
def test_settling_takes_time_for_what_runs_not_for_what_was_missed(
    schedule: Schedule, late: timedelta, policy: MisfirePolicy
) -> None:
    first = schedule.first_at_or_after(NOON)
    assert first is not None
    now = first + late
    started = time.process_time()
    found = decided(schedule, next_run_at=first, now=now, policy=policy)
    # Measured at 0.03 to 0.2 s; one by one, three thousand days of seconds take an hour.
    assert time.process_time() - started < 5
    expected = {RUN_LATEST: 1, RUN_ALL: 1000, SKIP: 0}[policy]
    assert len(found.runs) <= expected + 61
    assert found.next_run_at is not None
    assert found.next_run_at > now
    if found.runs and found.skipped:
        assert schedule.next_after(found.skipped[-1].last) == found.runs[0]
    if found.runs:
        assert schedule.next_after(found.runs[-1]) == found.next_run_at


def test_intervals_are_counted_exactly_however_many() -> None:
    found = decided(every(1), now=NOON + timedelta(days=3000), grace=timedelta(0), policy=SKIP)
    assert found.skipped[0].count == 3000 * 86_400  # the one at this instant is in time
    assert found.skipped[0].exact


def test_what_is_too_much_to_count_is_counted_in_part() -> None:
    found = decided(cron("* * * * * *"), now=NOON + timedelta(days=30), policy=SKIP)
    row = found.skipped[0]
    assert row.count >= MAX_COUNT
    assert not row.exact
    assert (row.first, row.last) == (NOON, NOON + timedelta(days=30, seconds=-61))
    found = decided(cron("* * * * * *"), now=NOON + timedelta(seconds=MAX_COUNT), policy=SKIP)
    assert found.skipped[0].exact
    assert found.skipped[0].count == MAX_COUNT - 60

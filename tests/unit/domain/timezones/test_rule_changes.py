"""Changed rules of a time zone: which instants a schedule has from then on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zone_rules
from chronos_common.clock import SECOND
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.timezones.rule_changes import instant_by_new_rules
from chronos_common.domain.timezones.zones import end_of_gap, instants_of, zone_of
from zone_rules import Change

ZONE = "Africa/Abidjan"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    zone_rules.forget()


pytestmark = pytest.mark.usefixtures("_restored")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def move(
    expression: str,
    instant: datetime,
    *,
    old: bytes,
    new: bytes,
    now: datetime = NOW,
    **fields: object,
) -> tuple[datetime | None, Schedule]:
    """Return where the occurrence goes, and the schedule, which follows the new rules."""
    with pytest.MonkeyPatch.context() as patch:
        zone_rules.exchange(patch)(ZONE, new)
        zone_of(ZONE)  # is remembered
    schedule = Schedule(ScheduleKind.CRON, expression, ZONE, **fields)  # type: ignore[arg-type]
    return instant_by_new_rules(schedule, instant, old=zone_rules.zone(old), horizon=now), schedule


def fixed(hours: float = 0, *changes: Change) -> bytes:
    return zone_rules.zone_file(hours * HOUR, changes)


TABLE = [
    # A reading stays what it is.
    ("29 9 * * *", "2026-03-11T09:29", fixed(), fixed(-1 / 30), "2026-03-11T09:31"),
    ("29 9 * * *", "2026-03-11T09:29", fixed(), fixed(-2), "2026-03-11T11:29"),
    ("29 9 * * *", "2026-03-11T09:29", fixed(), fixed(14), "2026-03-10T19:29"),
    ("0 9 1 * *", "2026-04-01T09:00", fixed(), fixed(5.5), "2026-04-01T03:30"),
    ("0 0 * * MON", "2026-03-16T00:00", fixed(), fixed(1), "2026-03-15T23:00"),
    # What the new rules put into the past is due at once.
    ("0 13 * * *", "2026-03-10T13:00", fixed(), fixed(3), "2026-03-10T10:00"),
    # What was due while nobody planned it stays due.
    ("0 9 * * *", "2026-03-08T09:00", fixed(), fixed(1), "2026-03-08T08:00"),
    # Every few hours: none of a day twice, none left out.
    ("0 */6 * * *", "2026-03-10T18:00", fixed(), fixed(-2), "2026-03-10T20:00"),
    ("*/30 9 * * *", "2026-03-11T09:00", fixed(), fixed(-4), "2026-03-11T13:00"),
    # Every hour: an even rhythm, and nothing before what has been planned.
    ("0 * * * *", "2026-03-10T13:00", fixed(), fixed(3), "2026-03-10T13:00"),
    ("0 * * * *", "2026-03-10T13:00", fixed(), fixed(0.5), "2026-03-10T12:30"),
    ("*/15 * * * *", "2026-03-10T12:15", fixed(), fixed(-1), "2026-03-10T12:15"),
    ("* * * * *", "2026-03-10T12:01", fixed(), fixed(-1 / 30), "2026-03-10T12:01"),
    # A gap of the old rules that the new ones do not have, and the other way round.
    (
        "0,30 2 * * *",
        "2026-03-11T02:00",
        fixed(0, (at("2026-03-11T02:00"), HOUR)),
        fixed(),
        "2026-03-11T02:00",
    ),
    (
        "30 2 * * *",
        "2026-03-11T02:00",
        fixed(0, (at("2026-03-11T02:00"), HOUR)),
        fixed(),
        "2026-03-11T02:30",
    ),
    (
        "*/30 2 * * *",
        "2026-03-12T01:00",
        fixed(0, (at("2026-03-11T02:00"), HOUR)),
        fixed(),
        "2026-03-11T02:00",
    ),
    (
        "30 2 * * *",
        "2026-03-11T02:30",
        fixed(),
        fixed(0, (at("2026-03-11T02:00"), HOUR)),
        "2026-03-11T02:00",
    ),
    (
        "*/30 2 * * *",
        "2026-03-11T02:00",
        fixed(),
        fixed(0, (at("2026-03-11T02:00"), HOUR)),
        "2026-03-12T01:00",
    ),
    # A reading that comes twice now runs the first time.
    (
        "30 1 * * *",
        "2026-03-11T01:30",
        fixed(),
        fixed(0, (at("2026-03-11T02:00"), -HOUR)),
        "2026-03-11T01:30",
    ),
    # The second time of a reading that comes once now.
    (
        "*/30 1 * * *",
        "2026-03-11T02:30",
        fixed(0, (at("2026-03-11T02:00"), -HOUR)),
        fixed(),
        "2026-03-12T01:00",
    ),
    (
        "*/30 1 * * *",
        "2026-03-11T02:30",
        fixed(0, (at("2026-03-11T02:00"), -HOUR)),
        fixed(1, (at("2026-03-11T01:00"), timedelta(0))),
        "2026-03-11T01:30",
    ),
]


@pytest.mark.parametrize(("expression", "instant", "old", "new", "expected"), TABLE)
def test_an_occurrence_keeps_its_reading(
    expression: str, instant: str, old: bytes, new: bytes, expected: str
) -> None:
    found, _ = move(expression, at(instant), old=old, new=new)
    assert found == at(expected)


def test_bounds_and_jitter_hold_for_the_new_instant() -> None:
    instant, new = at("2026-03-11T09:00"), fixed(-1)
    later, _ = move("0 9 * * *", instant + MINUTE, old=fixed(), new=new, jitter=MINUTE)
    assert later == at("2026-03-11T10:01")
    ended, _ = move("0 9 * * *", instant, old=fixed(), new=new, ends_at=instant)
    assert ended is None
    begun, _ = move("0 9 * * *", instant, old=fixed(), new=fixed(1), starts_at=instant)
    assert begun == at("2026-03-12T08:00")


def test_an_instant_that_no_rules_explain_is_not_lost() -> None:
    strange = at("2026-03-11T09:17")
    found, schedule = move("0 9 * * *", strange, old=fixed(), new=fixed(1))
    assert found == instant_by_new_rules(schedule, strange, old=None, horizon=NOW) == strange


# -- the rule -------------------------------------------------------------------------------------

OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: minutes * MINUTE)
HOURS = st.one_of(
    st.lists(st.integers(0, 23), min_size=1, max_size=5, unique=True).map(
        lambda hours: ",".join(map(str, sorted(hours)))
    ),
    st.sampled_from(["*/6", "1-4", "9-17"]),
)
MINUTES = st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True).map(
    lambda minutes: ",".join(map(str, sorted(minutes)))
)
DATES = st.sampled_from(["* * *", "* * MON-FRI", "*/2 * *", "1,11,15 * *"])
CHANGES = st.lists(
    st.tuples(st.integers(-36, 60), st.sampled_from([-60, -30, 30, 60, 120])), max_size=1
)


@st.composite
def rules(draw: st.DrawFn) -> bytes:
    """Return a zone with an offset, and perhaps a change of it around now."""
    offset = draw(OFFSETS)
    changes = [(NOW + hours * HOUR, offset + minutes * MINUTE) for hours, minutes in draw(CHANGES)]
    return zone_rules.zone_file(offset, changes)


def run_of(reading: datetime, zone: ZoneInfo) -> datetime:
    """Return when a job at fixed times runs its reading."""
    instants = instants_of(reading, zone)
    return instants[0] if instants else end_of_gap(reading, zone)


@given(
    expression=st.builds(
        lambda minutes, hours, dates: f"{minutes} {hours} {dates}", MINUTES, HOURS, DATES
    ).filter(lambda expression: not cron.parse(expression).rhythm),
    old=rules(),
    new=rules(),
    moment=st.integers(-4000, 4000),
)
def test_no_reading_runs_twice_and_none_is_lost(
    expression: str, old: bytes, new: bytes, moment: int
) -> None:
    """The oracle names the readings one by one, and knows which ones have run by the old rules."""
    now, before = NOW + moment * MINUTE, zone_rules.zone(old)
    readings, wall = [], (now - 9 * DAY).replace(tzinfo=None)
    for _ in range(4 * 24 * 28):
        wall = cron.parse(expression).after(wall)
        if wall > (now + 25 * DAY).replace(tzinfo=None):
            break
        readings.append(wall)
    left = [each for each in readings if run_of(each, before) > now]
    instant = run_of(left[0], before)
    first, schedule = move(expression, instant, old=old, new=new, now=now)
    after = zone_of(ZONE)
    expected = sorted({run_of(each, after) for each in left})[:6]
    assert first is not None
    assert [first, *islice(_following(schedule, first), len(expected) - 1)] == expected


def _following(schedule: Schedule, instant: datetime) -> Iterator[datetime]:
    while (found := schedule.next_after(instant)) is not None:
        yield found
        instant = found


@given(
    minutes=st.sampled_from(["*", "*/20", "7", "7,40"]),
    old=rules(),
    new=rules(),
    moment=st.integers(0, 2000),
)
def test_a_job_of_every_hour_goes_on_with_the_next_instant_of_the_new_rules(
    minutes: str, old: bytes, new: bytes, moment: int
) -> None:
    now = NOW + moment * MINUTE
    _, schedule = move(f"{minutes} * * * *", now, old=old, new=old)
    instant = schedule.next_after(now)
    assert instant is not None
    found, schedule = move(f"{minutes} * * * *", instant, old=old, new=new, now=now + SECOND)
    assert found == schedule.next_after(now)

"""What a schedule says in English names the instants beside it, for each kind of schedule."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cron_english
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def interval(seconds: int, anchor: datetime = NOON, **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=seconds, anchor=anchor, **others)


def cron(expression: str, timezone: str = "UTC", **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, timezone=timezone, **others)


def once(anchor: datetime = NOON, **others: Any) -> Schedule:
    return Schedule(kind=ScheduleKind.ONCE, anchor=anchor, **others)


MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda each: datetime.fromtimestamp(0, UTC) + each * MILLISECOND
)
#: Few enough seconds apart that bounds and moments often meet.
NEAR_NOON = st.integers(-400_000_000, 400_000_000).map(lambda each: NOON + each * MILLISECOND)
JITTERS = st.integers(0, 3_600_000).map(lambda each: each * MILLISECOND)
EXPRESSIONS = st.sampled_from(
    [
        "* * * * *",
        "*/10 * * * * *",
        "0 9 * * MON-FRI",
        "0-40/10,55 * * * *",
        "*/7 8-18 * * *",
        "30 2 * * *",
        "0 0 LW * *",
        "0 12 L-3,1 * FRI",
        "0 0 1 1 *",
    ]
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    moments = draw(st.sampled_from([MOMENTS, NEAR_NOON]))
    bounds = sorted(draw(st.lists(moments, min_size=2, max_size=2, unique=True)))
    others: dict[str, Any] = {
        "starts_at": draw(st.sampled_from([None, bounds[0]])),
        "ends_at": draw(st.sampled_from([None, bounds[1]])),
        "jitter": draw(JITTERS | st.just(timedelta(0))),
    }
    kind = draw(st.sampled_from(ScheduleKind))
    if kind is ScheduleKind.CRON:
        return cron(draw(EXPRESSIONS), **others)
    if kind is ScheduleKind.INTERVAL:
        seconds = draw(st.integers(1, 31_536_000) | st.sampled_from([1, 60, 90, 3600, 86_400]))
        return interval(seconds, draw(moments), **others)
    return once(draw(moments), **others)


LATER = timedelta(minutes=36, seconds=3)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (interval(1), "Every second, from 2026-11-21 12:00:00 UTC"),
        (interval(2), "Every 2 seconds, from 2026-11-21 12:00:00 UTC"),
        (interval(60), "Every minute, from 2026-11-21 12:00:00 UTC"),
        (interval(90), "Every 1 minute and 30 seconds, from 2026-11-21 12:00:00 UTC"),
        (interval(7200), "Every 2 hours, from 2026-11-21 12:00:00 UTC"),
        (interval(86_400), "Every day, from 2026-11-21 12:00:00 UTC"),
        (
            interval(90_061),
            "Every 1 day, 1 hour, 1 minute and 1 second, from 2026-11-21 12:00:00 UTC",
        ),
        (once(), "Once, at 2026-11-21 12:00:00 UTC"),
        (once(NOON + 25 * MILLISECOND), "Once, at 2026-11-21 12:00:00.025 UTC"),
        (
            once(jitter=34 * MINUTE + 48 * SECOND),
            "Once, at 2026-11-21 12:34:48 UTC (34 minutes and 48 seconds of jitter included)",
        ),
        (cron("0 9 * * 1", "Europe/Berlin"), "At 09:00 on Mondays (Europe/Berlin)"),
        (cron("@hourly"), "Every hour (UTC)"),
        (
            cron("0 9 * * *", jitter=LATER),
            "At 09:00 every day (UTC), delayed by 36 minutes and 3 seconds of jitter",
        ),
        (
            cron("0 9 * * *", jitter=3 * SECOND + 5 * MILLISECOND, starts_at=NOON),
            (
                "At 09:00 every day (UTC), delayed by 3.005 seconds of jitter, "
                "from 2026-11-21 12:00:00 UTC"
            ),
        ),
        (
            interval(5, starts_at=NOON, ends_at=NOON + timedelta(days=1)),
            "Every 5 seconds, from 2026-11-21 12:00:00 UTC, until 2026-11-22 12:00:00 UTC",
        ),
        (
            interval(86_400, NOON, jitter=LATER, starts_at=NOON + timedelta(hours=2)),
            (
                "Every day, from 2026-11-22 12:36:03 UTC "
                "(36 minutes and 3 seconds of jitter included)"
            ),
        ),
    ],
)
def test_a_schedule_says_when_it_runs(schedule: Schedule, words: str) -> None:
    assert schedule.describe() == words


@settings(deadline=None, max_examples=300)
@given(schedule=schedules(), moment=MOMENTS | NEAR_NOON)
def test_a_schedule_runs_when_it_says(schedule: Schedule, moment: datetime) -> None:
    said = said_by(schedule.describe(), moment)
    assert schedule.upcoming(moment, 3) == list(islice(said, 3))


MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? UTC"
WORDS = re.compile(
    rf"(?:Once, at (?P<once>{MOMENT})|Every (?P<every>[^(]+), from (?P<first>{MOMENT})"
    rf"|(?P<cron>.+?) \(UTC\)(?:, delayed by (?P<later>.+?) of jitter)?)"
    rf"(?: \((?P<jitter>[^)]+) of jitter included\))?"
    rf"(?:, from (?P<from>{MOMENT}))?(?:, until (?P<until>{MOMENT}))?"
)


def said_by(words: str, after: datetime) -> Iterator[datetime]:
    """Yield the instants after ``after`` that a description names."""
    match = WORDS.fullmatch(words)
    assert match, words
    start = moment_of(match["from"]) if match["from"] else datetime.fromtimestamp(0, UTC)
    end = moment_of(match["until"]) if match["until"] else datetime(2300, 1, 1, tzinfo=UTC)
    for instant in named(match, max(after, start - SECOND)):
        if instant > end:
            return
        if instant > after and instant >= start:
            yield instant


def named(match: re.Match[str], around: datetime) -> Iterator[datetime]:
    """Yield instants from before ``around`` on, whatever the bounds."""
    if match["once"]:
        yield moment_of(match["once"])
    elif match["every"]:
        first, step = moment_of(match["first"]), length_of(match["every"])
        first += max((around - first) // step, 0) * step
        yield from (first + each * step for each in range(10))
    else:
        reading = cron_english.read(match["cron"])
        later = length_of(match["later"]) if match["later"] else timedelta(0)
        day = datetime.combine(around - timedelta(days=1), time(), UTC)
        for each in (day + timedelta(days=number) for number in range(5 * 366)):
            for second in reading.walls(each.date()):
                if (instant := each + second * SECOND + later) >= around:
                    yield instant


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=UTC)


def length_of(text: str) -> timedelta:
    """Return the length of ``1 minute and 30 seconds``, or of a ``day``."""
    found = re.findall(r"([\d.]+)? ?(day|hour|minute|second)s?", text)
    return sum(
        (timedelta(**{f"{unit}s": float(number or 1)}) for number, unit in found), timedelta()
    )

"""An imported job is due when its source says: its own rules are written here a second time."""

import calendar
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from celery import Celery
from celery.schedules import crontab as celery_crontab
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_client.importers import crontab, dkron
from chronos_client.importers.celery import beat
from chronos_client.importers.outcome import Outcome
from chronos_client.importers.services import eventbridge
from chronos_common.domain.schedules.fields import from_fields

START = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 40
URL = "https://example.com/a"
SUNDAY_IS_1 = 1

ITEMS = {
    "day": ["*", "*/1", "*/2", "1-7", "13", "28-31", "5", "10-20/5"],
    "weekday": ["*", "*/1", "*/3", "1", "1-5", "0,6", "2-6/2", "5"],
}
DAY = st.lists(st.sampled_from(ITEMS["day"]), min_size=1, max_size=2).map(",".join)
WEEKDAY = st.lists(st.sampled_from(ITEMS["weekday"]), min_size=1, max_size=2).map(",".join)


def days_of_job(outcome: Outcome) -> list[datetime]:
    (job,) = outcome.jobs
    schedule = from_fields(job, job_id=UUID(int=1), now=START)
    return list(schedule.instants_between(START, START + timedelta(days=DAYS), 100))


def numbers(field: str, low: int, high: int) -> set[int]:
    """Return the numbers of a field of lists, ranges and steps."""
    found: set[int] = set()
    for item in field.split(","):
        values, _, step = item.partition("/")
        first, _, last = (f"{low}-{high}" if values == "*" else values).partition("-")
        found |= {*range(int(first), int(last or first) + 1, int(step or 1))}
    return found


def days(is_due: Callable[[datetime], bool]) -> list[datetime]:
    """Return the instants at 06:05 of the days that are due."""
    first = START.replace(hour=6, minute=5)
    each_day = [first + timedelta(days=number) for number in range(DAYS)]
    return [each for each in each_day if is_due(each)]


def cron_weekday(day: datetime) -> int:
    return (calendar.weekday(day.year, day.month, day.day) + 1) % 7


@settings(deadline=None, max_examples=60)
@given(day=DAY, weekday=WEEKDAY)
def test_a_crontab_as_in_cron(day: str, weekday: str) -> None:
    """crontab(5): either day will do, unless one of the fields begins with a star."""
    both = day.startswith("*") or weekday.startswith("*")

    def is_due(at: datetime) -> bool:
        in_month, in_week = (
            at.day in numbers(day, 1, 31),
            cron_weekday(at) in numbers(weekday, 0, 6),
        )
        return in_month and in_week if both else in_month or in_week

    line = f"5 6 {day} * {weekday} curl -m 5 {URL}"
    assert days_of_job(crontab.read(line, timezone="UTC")) == days(is_due)


@settings(deadline=None, max_examples=60)
@given(day=DAY, weekday=WEEKDAY)
def test_days_of_programs_in_go(day: str, weekday: str) -> None:
    """The library cron of Go: either will do, unless a field has a star without a step above 1."""
    both = any({"*", "*/1"} & {*field.split(",")} for field in (day, weekday))

    def is_due(at: datetime) -> bool:
        in_month, in_week = (
            at.day in numbers(day, 1, 31),
            cron_weekday(at) in numbers(weekday, 0, 6),
        )
        return in_month and in_week if both else in_month or in_week

    job = {"name": "a", "executor": "http", "executor_config": {"url": URL},
           "schedule": f"0 5 6 {day} * {weekday}", "timezone": "UTC"}  # fmt: skip
    assert days_of_job(dkron.read(json.dumps(job))) == days(is_due)


@settings(deadline=None, max_examples=60)
@given(
    day=DAY,
    weekday=WEEKDAY | st.sampled_from(["fri-mon", "5-1/2", "sunday"]),
    hour=st.sampled_from(["6", "22-2", "20-4/3"]),
)
def test_a_crontab_of_celery_as_celery_reads_it(day: str, weekday: str, hour: str) -> None:
    theirs = celery_crontab(minute=5, hour=hour, day_of_month=day, day_of_week=weekday)
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {"a": {"task": "t", "schedule": theirs}}

    def is_due(at: datetime) -> bool:
        return (
            at.day in theirs.day_of_month
            and cron_weekday(at) in theirs.day_of_week
            and at.hour in theirs.hour
        )

    first = START.replace(minute=5)
    hours = [first + timedelta(hours=number) for number in range(DAYS * 24)]
    assert days_of_job(beat.export(app)) == [each for each in hours if is_due(each)][:100]


@settings(deadline=None, max_examples=40)
@given(weekday=st.sampled_from(["1", "2-6", "1,7", "7", "2-6/2", "SUN-TUE", "1-7/3"]))
def test_a_day_of_week_of_aws_counts_from_sunday_as_1(weekday: str) -> None:
    named = {"SUN-TUE": "1-3"}.get(weekday, weekday)
    schedule = {"Name": "a", "ScheduleExpression": f"cron(5 6 ? * {weekday} *)",
                "Target": {"Arn": "x"}}  # fmt: skip
    outcome = eventbridge.read(json.dumps(schedule), targets={"a": URL})
    assert days_of_job(outcome) == days(
        lambda at: cron_weekday(at) + SUNDAY_IS_1 in numbers(named, 1, 7)
    )


@pytest.mark.parametrize("name", ["TZ", "CRON_TZ"])
def test_only_cron_tz_moves_the_times_of_a_crontab(name: str) -> None:
    outcome = crontab.read(f"{name}=Asia/Tokyo\n5 6 * * * curl -m 5 {URL}\n", timezone="UTC")
    hour = days_of_job(outcome)[0].hour
    assert hour == (21 if name == "CRON_TZ" else 6)
    assert ("TZ=Asia/Tokyo" in {each.what for each in outcome.findings}) is (name == "TZ")

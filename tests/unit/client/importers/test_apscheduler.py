"""Jobs of APScheduler 3, exported from a real scheduler."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

import accepted_jobs
from chronos_client.importers import apscheduler3
from chronos_client.importers.outcome import Outcome
from chronos_common.domain.schedules.fields import from_fields

TARGET = {"url": "https://example.com/run", "method": "POST"}
START = datetime(2026, 6, 1, tzinfo=UTC)


def task() -> None:
    """Do nothing."""


@contextmanager
def started(scheduler: BackgroundScheduler) -> Iterator[None]:
    """Give the jobs the scheduler's defaults, and run none."""
    scheduler.start(paused=True)
    yield
    scheduler.shutdown()


def exported(*triggers: str, target=lambda _job: TARGET, **options: object) -> Outcome:
    scheduler = BackgroundScheduler(timezone="Europe/Berlin")
    for number, trigger in enumerate(triggers):
        scheduler.add_job(task, trigger, id=f"job {number}", **options)
    with started(scheduler):
        outcome = apscheduler3.export(scheduler, target)
    accepted_jobs.check(outcome.jobs)
    return outcome


def test_a_cron_job() -> None:
    outcome = exported("cron", day_of_week="mon-fri", hour=9, minute="*/20", name="Morning")
    assert outcome.is_exact
    assert outcome.jobs == [
        {
            "name": "job 0",
            "description": "Morning",
            "type": "webhook",
            "payload": TARGET,
            "schedule_type": "cron",
            "cron_expression": "*/20 9 * * MON,TUE,WED,THU,FRI",
            "timezone": "Europe/Berlin",
            "max_attempts": 1,
            "misfire_grace_seconds": 1,
            "misfire_policy": "skip",
            "overlap_policy": "skip",
        }
    ]


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"day_of_week": 0}, "0 0 * * MON"),
        ({"day_of_week": "6"}, "0 0 * * SUN"),
        ({"day_of_week": "*/2"}, "0 0 * * MON,WED,FRI,SUN"),
        ({"day": "last"}, "0 0 L * *"),
        ({"day": "2nd fri"}, "0 0 * * 5#2"),
        ({"day": "last sun"}, "0 0 * * 0L"),
        ({"second": "*/10"}, "*/10 * * * * *"),
        ({"day": "13", "day_of_week": "fri"}, "0 0 13 * FRI"),
    ],
)
def test_fields_are_translated(fields: dict, expression: str) -> None:
    (made,) = exported("cron", **fields).jobs
    assert made["cron_expression"] == expression
    assert made.get("day_match") == ("all" if len(fields) == 2 else None)


WEEKDAY = st.sampled_from(["*", "0", "6", "mon-wed", "1-6/2", "*/3", "sat,1"])
DAY = st.sampled_from(["*", "*/2", "1-7", "10-20/5", "31"])


@settings(deadline=None, max_examples=40)
@given(day=DAY, weekday=WEEKDAY, hour=st.sampled_from(["*", "3", "*/7"]))
def test_the_job_is_due_when_the_trigger_fires(day: str, weekday: str, hour: str) -> None:
    scheduler = BackgroundScheduler(timezone="UTC")
    made = scheduler.add_job(
        task, "cron", day=day, day_of_week=weekday, hour=hour, minute=5, id="a"
    )
    with started(scheduler):
        (fields,) = apscheduler3.export(scheduler, lambda _job: TARGET).jobs
    ours = from_fields(fields, job_id=UUID(int=1), now=START).upcoming(START, 5)
    theirs: list[datetime] = []
    while len(theirs) < 5:
        last = theirs[-1] if theirs else None
        theirs.append(made.trigger.get_next_fire_time(last, last or START))
    assert ours == theirs


def test_intervals_keep_their_phase_and_instants_their_time() -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    outcome = exported(
        "interval", minutes=90, start_date=start, end_date=start + timedelta(days=9)
    )
    (made,) = outcome.jobs
    assert (made["interval_seconds"], made["starts_at"]) == (5400, "2026-05-01T12:00:00Z")
    assert made["ends_at"] == "2026-05-10T12:00:00Z"
    assert outcome.findings == []
    (once,) = exported("date", run_date=datetime(2027, 1, 1, tzinfo=UTC)).jobs
    assert (once["schedule_type"], once["run_at"]) == ("once", "2027-01-01T00:00:00Z")


def test_policies_follow_the_options() -> None:
    latest = exported("cron", hour=1, misfire_grace_time=None, coalesce=True)
    every = exported("cron", hour=1, misfire_grace_time=None, coalesce=False, max_instances=3)
    paused = exported("cron", hour=1, next_run_time=None)
    assert latest.jobs[0]["misfire_policy"] == "run_latest"
    assert every.jobs[0]["misfire_policy"] == "run_all"
    assert every.jobs[0]["overlap_policy"] == "allow"
    assert [each.what for each in every.findings] == ["max_instances"]
    assert paused.jobs[0]["status"] == "paused"


@pytest.mark.parametrize(
    ("options", "why"),
    [({"year": 2027}, "year"), ({"week": "*/2"}, "week"), ({"day": "1st mon,15"}, "beside")],
)
def test_what_has_no_equal_is_left_out(options: dict, why: str) -> None:
    outcome = exported("cron", **options)
    assert outcome.jobs == []
    assert why in outcome.findings[0].why


def test_a_function_without_a_target_is_left_out() -> None:
    outcome = exported("cron", hour=1, target=lambda _job: None)
    assert outcome.jobs == []
    assert "No target" in outcome.findings[0].why


def test_a_scheduler_that_has_not_started_has_no_defaults_yet() -> None:
    scheduler = BackgroundScheduler()
    scheduler.add_job(task, "cron", hour=1)
    outcome = apscheduler3.export(scheduler, lambda _job: TARGET)
    assert "start(paused=True)" in outcome.findings[0].why

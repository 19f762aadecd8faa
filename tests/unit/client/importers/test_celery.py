"""Celery's schedules: of an application, of django-celery-beat, and of RedBeat."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import BeatLazyFunc
from celery.schedules import crontab, schedule

import accepted_jobs
from chronos_client.importers.celery import beat, django, redbeat
from chronos_client.importers.outcome import Outcome


def exported(entries: dict, **settings: object) -> Outcome:
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(beat_schedule=entries, **settings)
    outcome = beat.export(app)
    accepted_jobs.check(outcome.jobs)
    return outcome


def details(outcome: Outcome) -> set[str]:
    return {each.what for each in outcome.findings if each.is_left_out}


# -- an application ------------------------------------------------------------------------------


def test_nightly_and_weekly_tasks_in_the_zone_of_the_application() -> None:
    outcome = exported(
        {
            "nightly": {"task": "tasks.compress", "schedule": crontab(hour=2, minute=0)},
            "weekly": {
                "task": "tasks.report",
                "schedule": crontab(hour=8, minute=0, day_of_week="monday"),
                "args": ("eu", 1),
                "kwargs": {"deep": [1]},
            },
        },
        timezone="Asia/Kolkata",
    )
    assert outcome.is_exact
    assert outcome.jobs == [
        {
            "name": "nightly",
            "type": "celery_task",
            "payload": {"task": "tasks.compress", "queue": "celery"},
            "schedule_type": "cron",
            "cron_expression": "0 2 * * *",
            "timezone": "Asia/Kolkata",
        },
        {
            "name": "weekly",
            "type": "celery_task",
            "payload": {
                "task": "tasks.report",
                "args": ["eu", 1],
                "kwargs": {"deep": [1]},
                "queue": "celery",
            },
            "schedule_type": "cron",
            "cron_expression": "0 8 * * MON",
            "timezone": "Asia/Kolkata",
        },
    ]


def test_intervals_say_that_they_begin_anew() -> None:
    outcome = exported(
        {
            "a": {"task": "t", "schedule": 5.0},
            "b": {"task": "t", "schedule": timedelta(days=1)},
            "c": {"task": "t", "schedule": schedule(30)},
            "d": {"task": "t", "schedule": timedelta(hours=1), "relative": True},
        }
    )
    assert [each["interval_seconds"] for each in outcome.jobs] == [5, 86_400, 30, 3600]
    assert sum(each.what == "phase" for each in outcome.findings) == 4
    assert details(outcome) == {"relative"}


def test_queues_come_from_the_routes_of_the_application() -> None:
    outcome = exported(
        {
            "routed": {"task": "mail.send", "schedule": crontab()},
            "said": {"task": "t", "schedule": crontab(), "options": {"queue": "slow"}},
            "default": {"task": "t", "schedule": crontab()},
        },
        task_routes={"mail.*": {"queue": "mails"}},
        task_default_queue="shop",
    )
    queues = [each["payload"]["queue"] for each in outcome.jobs]
    assert queues == ["mails", "slow", "shop"]


def test_a_day_and_a_weekday_must_both_match() -> None:
    both = crontab(hour=0, minute=0, day_of_month="13", day_of_week="fri")
    one = crontab(hour="*/3", minute={0, 30}, day_of_week="1-5", day_of_month="*/2")
    outcome = exported({"a": {"task": "t", "schedule": both}, "b": {"task": "t", "schedule": one}})
    assert [each.get("day_match") for each in outcome.jobs] == ["all", None]
    assert outcome.jobs[1]["cron_expression"] == "0,30 */3 */2 * 1-5"


def test_entries_that_modules_add_at_the_end_are_there() -> None:
    app = Celery("shop", broker="memory://", set_as_current=False)

    @app.on_after_finalize.connect
    def add(sender: Celery, **_: object) -> None:
        sender.add_periodic_task(crontab(minute=30), app.signature("tasks.late"), name="late")

    assert [each["name"] for each in beat.export(app).jobs] == ["late"]


class OwnSchedule(schedule):
    pass


# The real one needs a library of astronomy.
SOLAR = type("solar", (), {"__module__": "celery.schedules"})()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"schedule": SOLAR}, "solar"),
        ({"schedule": OwnSchedule(5)}, "OwnSchedule"),
        ({"schedule": {"__type__": "crontab"}}, "builtins.dict"),
        ({"schedule": 0.5}, "whole seconds"),
        ({"schedule": 5, "args": (object(),)}, "JSON"),
        ({"schedule": 5, "kwargs": {"at": BeatLazyFunc(lambda: 1)}}, "computed"),
        ({"schedule": 5, "args": BeatLazyFunc(lambda: [1])}, "computed"),
        ({"schedule": 5, "options": {"link": "x"}}, "link"),
        ({"schedule": 5, "task": None}, "no task"),
    ],
)
def test_an_entry_without_an_equal_is_left_out(entry: dict, why: str) -> None:
    outcome = exported({"a": {"task": "t", **entry}})
    assert outcome.jobs == []
    assert why in outcome.findings[0].why


def test_options_of_messages_are_named_and_the_deadline_is_kept() -> None:
    options = {"expires": 300, "priority": 15, "serializer": "json"}
    entry = {"task": "t", "schedule": crontab(), "options": options}
    outcome = exported({"a": entry}, beat_cron_starting_deadline=60)
    assert details(outcome) == {"option expires", "option priority"}
    (made,) = outcome.jobs
    assert (made["misfire_policy"], made["misfire_grace_seconds"]) == ("skip", 60)


def test_the_cleanup_that_beat_adds_by_itself_is_there(tmp_path: Path) -> None:
    outcome = exported({}, result_backend=f"file://{tmp_path}", result_expires=3600)
    assert [each["payload"]["task"] for each in outcome.jobs] == ["celery.backend_cleanup"]
    assert outcome.jobs[0]["cron_expression"] == "0 4 * * *"


# -- django-celery-beat --------------------------------------------------------------------------

EVERY_MINUTE = {"model": "django_celery_beat.intervalschedule", "pk": 1,
                "fields": {"every": 1, "period": "minutes"}}  # fmt: skip
MONDAYS = {
    "model": "django_celery_beat.crontabschedule",
    "pk": 2,
    "fields": {
        "minute": "30", "hour": "6, 18", "day_of_week": "mon", "day_of_month": "*",
        "month_of_year": "*", "timezone": "Europe/Berlin",
    },
}  # fmt: skip


def periodic_task(**fields: object) -> dict:
    fields = {
        "name": "Update", "task": "app.tasks.update", "interval": None, "crontab": None,
        "solar": None, "clocked": None, "args": "[]", "kwargs": "{}", "queue": None,
        "exchange": None, "routing_key": None, "headers": "{}", "priority": None, "expires": None,
        "expire_seconds": None, "one_off": False, "start_time": None, "enabled": True,
        "last_run_at": None, "total_run_count": 0, "date_changed": "2021-09-20T13:03:03.681Z",
        "description": "", **fields,
    }  # fmt: skip
    return {"model": "django_celery_beat.periodictask", "pk": 1, "fields": fields}


def dumped(*rows: dict) -> Outcome:
    outcome = django.read(json.dumps(rows))
    accepted_jobs.check(outcome.jobs)
    return outcome


def test_a_task_at_an_interval() -> None:
    outcome = dumped(EVERY_MINUTE, periodic_task(interval=1, queue="slow", args='["a"]'))
    assert outcome.is_exact
    assert outcome.jobs == [
        {
            "name": "Update",
            "type": "celery_task",
            "payload": {"task": "app.tasks.update", "args": ["a"], "queue": "slow"},
            "schedule_type": "interval",
            "interval_seconds": 60,
        }
    ]


def test_a_task_by_a_crontab_that_is_off() -> None:
    made = dumped(MONDAYS, periodic_task(crontab=2, enabled=False, description="Twice")).jobs[0]
    assert made["cron_expression"] == "30 6,18 * * MON"
    assert (made["timezone"], made["status"]) == ("Europe/Berlin", "paused")
    assert made["description"] == "Twice"


def test_a_task_with_bounds_that_runs_once() -> None:
    made = dumped(
        EVERY_MINUTE,
        periodic_task(
            interval=1,
            one_off=True,
            start_time="2026-09-15T11:16:59Z",
            expires="2027-01-01T00:00:00+01:00",
        ),
    ).jobs[0]
    assert (made["max_runs"], made["starts_at"]) == (1, "2026-09-15T11:16:59Z")
    assert made["ends_at"] == "2026-12-31T23:00:00Z"


def test_a_task_at_an_instant() -> None:
    clocked = {
        "model": "django_celery_beat.clockedschedule",
        "pk": 5,
        "fields": {"clocked_time": "2027-03-01T08:00:00Z"},
    }
    outcome = dumped(clocked, periodic_task(clocked=5, one_off=True))
    assert outcome.jobs[0]["run_at"] == "2027-03-01T08:00:00Z"
    assert (
        "has run" in dumped(clocked, periodic_task(clocked=5, total_run_count=1)).findings[0].why
    )


def test_a_dump_with_other_models_and_broken_tasks() -> None:
    solar_schedule = {"model": "django_celery_beat.solarschedule", "pk": 7, "fields": {}}
    outcome = dumped(
        {"model": "auth.user", "pk": 1, "fields": {}},
        solar_schedule,
        periodic_task(name="sun", solar=7),
        periodic_task(name="none"),
        periodic_task(name="lost", interval=9),
        EVERY_MINUTE,
        periodic_task(name="args", interval=1, args="(1, 2)"),
        periodic_task(name="micro", interval=1, headers='{"a": 1}', expire_seconds=60, priority=3),
    )
    assert [each["name"] for each in outcome.jobs] == ["micro"]
    assert len([each for each in outcome.findings if each.job is None]) == 4
    assert {"option headers", "option expires", "option priority"} <= details(outcome)


# -- RedBeat -------------------------------------------------------------------------------------

DAILY = {
    "name": "daily",
    "task": "tasks.daily",
    "schedule": {"__type__": "crontab", "minute": "5", "hour": "*", "day_of_week": "monday",
                 "day_of_month": "*/7", "month_of_year": "1-12"},
    "args": ["a"], "kwargs": {"max_targets": 100}, "enabled": True,
}  # fmt: skip


class Redis:
    """The two calls of a Redis client that the exporter makes."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes

    def scan_iter(self, match: str, count: int) -> list[bytes]:
        assert (match, count) == ("redbeat:*", 500)
        return [each.encode() for each in self._hashes]

    def hget(self, key: str, field: str) -> bytes:
        assert field == "definition"
        return self._hashes[key].encode()


def test_entries_of_redbeat_from_a_file_and_from_redis() -> None:
    text = json.dumps(DAILY)
    from_file = redbeat.read(json.dumps({"redbeat:daily": text}), timezone="UTC")
    from_redis = redbeat.export(
        Redis({"redbeat::schedule": "", "redbeat:daily": text}), timezone="UTC"
    )
    as_list = redbeat.read(json.dumps([DAILY]), timezone="UTC")
    assert from_file.jobs == from_redis.jobs == as_list.jobs
    accepted_jobs.check(from_file.jobs)
    assert from_file.is_exact
    assert from_file.jobs[0]["cron_expression"] == "5 * */7 1-12 MON"


def test_entries_of_redbeat_that_have_no_equal() -> None:
    entries = {
        "rrule": {**DAILY, "schedule": {"__type__": "rrule", "freq": "DAILY"}},
        "month": {**DAILY, "schedule": {**DAILY["schedule"], "month_of_year": "[1-12]"}},
        "half": {**DAILY, "schedule": {"__type__": "interval", "every": 0.5}},
        "text": "no JSON",
        "off": {**DAILY, "enabled": False, "schedule": {"__type__": "interval", "every": 60.0}},
    }
    outcome = redbeat.read(json.dumps(entries), timezone="UTC")
    assert [each["status"] for each in outcome.jobs] == ["paused"]
    assert {each.place.entry for each in outcome.findings if each.job is None} == {
        "rrule", "month", "half", "text",
    }  # fmt: skip

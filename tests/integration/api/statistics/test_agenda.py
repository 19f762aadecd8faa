"""The agenda has every run of a span, second by second, and says where runs collide."""

import itertools
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from chronos_api.statistics import agenda
from chronos_api.statistics.forecast import Budget
from chronos_common import clock
from integration.api.callers import Caller

HOUR = clock.HOUR
SECOND = timedelta(seconds=1)


def next_hour() -> datetime:
    return clock.floor(clock.now(), HOUR) + HOUR


def read(
    caller: Caller, since: datetime, length: timedelta = HOUR, **query: Any
) -> dict[str, Any]:
    times = {"since": since.isoformat(), "until": (since + length).isoformat()}
    answer = caller.get("upcoming/agenda", query_string=times | query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def lines(found: dict[str, Any], name: str = "seconds") -> list[tuple[str, list[str]]]:
    """Return minute and second of each line, and the jobs that it names."""
    return [(each["at"][14:19], [job["name"] for job in each["named"]]) for each in found[name]]


def test_an_hour_has_its_runs_in_order_and_its_busy_and_quiet_times(caller: Caller) -> None:
    for name, expression in (("A", "0 * * * *"), ("B", "*/20 * * * *"), ("C", "30 0 * * * *")):
        caller.create(name=name, cron_expression=expression)
    found = read(caller, next_hour())
    assert lines(found) == [
        ("00:00", ["A", "B"]),
        ("00:30", ["C"]),
        ("20:00", ["B"]),
        ("40:00", ["B"]),
    ]
    assert (found["jobs"], found["partial"], found["next_since"]) == (3, False, None)
    assert lines(found, "busiest") == [("00:00", ["A", "B"])]
    runs = {each["at"][14:16]: each["runs"] for each in found["minutes"] if each["runs"]}
    assert runs == {"00": 3, "20": 1, "40": 1}
    assert len(found["minutes"]) == 60
    # Neither these minutes nor those beside them have runs.
    assert [each["at"][14:16] for each in found["quietest"]] == ["02", "03", "04"]


def test_a_long_span_goes_on_where_the_answer_ends(caller: Caller) -> None:
    caller.create(name="Hourly", cron_expression="0 * * * *")
    caller.create(
        name="Often", schedule_type="interval", interval_seconds=900, cron_expression=...
    )
    since, seen = next_hour(), list[str]()
    place: datetime | None = since
    while place:
        found = read(caller, place, since + 24 * HOUR - place, limit=50)
        assert found["minutes"] == found["busiest"] == found["quietest"] == []
        seen += [each["at"] for each in found["seconds"] for _ in each["named"]]
        place = datetime.fromisoformat(found["next_since"]) if found["next_since"] else None
    assert len(seen) == 24 + 96
    assert seen == sorted(seen)


def test_only_the_runs_to_come_of_a_job_that_ends_are_in_it(caller: Caller) -> None:
    # Not in an hour that may end meanwhile.
    first = next_hour() + HOUR
    starts_at = first.isoformat()
    caller.create(name="Few", cron_expression="0 * * * *", max_runs=2, starts_at=starts_at)
    found = read(caller, clock.now(), 24 * HOUR)
    assert len(found["seconds"]) == 2
    assert lines(read(caller, first + HOUR)) == [("00:00", ["Few"])]
    assert read(caller, first + 2 * HOUR)["seconds"] == []
    assert read(caller, clock.now() - 3 * HOUR, 2 * HOUR)["seconds"] == []


def test_the_filters_of_jobs_choose_in_agenda_and_forecast(caller: Caller) -> None:
    mail = {"to": ["ops@example.com"], "subject": "Report", "body": "…"}
    for number in range(3):
        caller.create(name=f"Invoice {number}", cron_expression="0 * * * *", tags=["eu"])
    caller.create(name="Report", description="of each invoice", cron_expression="0 * * * *")
    caller.create(name="Letter", type="email", payload=mail, cron_expression="0 * * * *")
    for query, jobs in (
        ({}, 5),
        ({"search": "INVOICE"}, 4),
        ({"search": "invoice", "tag": "eu"}, 3),
        ({"type": "email"}, 1),
        ({"type": "email", "tag": "eu"}, 0),
    ):
        found = read(caller, next_hour(), **query)
        assert [each["jobs"] for each in found["seconds"]] == [jobs] * bool(jobs), query
        forecast = caller.get("upcoming", query_string={"hours": 2, **query}).json
        assert (forecast["jobs"], forecast["buckets"][1]["jobs"]) == (jobs, jobs), query


def test_a_second_of_its_own_names_more_jobs(
    caller: Caller, stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "NAMED_ALONE", 7)
    for number in range(8):
        caller.create(name=f"Job {number}", cron_expression="0 * * * *")
    stranger.create(cron_expression="0 * * * *")
    (second,) = read(caller, next_hour())["seconds"]
    assert (second["jobs"], len(second["named"])) == (8, agenda.NAMED)
    (second,) = read(caller, next_hour(), SECOND)["seconds"]
    assert (second["jobs"], len(second["named"])) == (8, 7)


def test_what_takes_too_long_is_left_out_and_the_answer_says_so(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = caller.create(cron_expression="* * * * * *")
    caller.create(name="Sound", cron_expression="* * * * * *")
    with db.begin() as connection:
        connection.execute(
            text("UPDATE schedules SET expression = 'nonsense' WHERE job_id = :id"),
            {"id": broken["id"]},
        )
    found = read(caller, next_hour(), limit=1)
    assert (lines(found), found["partial"]) == ([("00:00", ["Sound"])], False)
    monkeypatch.setattr(agenda, "QUICK", Budget(100, 0.0))
    found = read(caller, next_hour(), limit=2)
    assert (found["seconds"], found["partial"]) == ([], True)


def test_a_span_is_bounded(caller: Caller) -> None:
    since = next_hour()
    for until in (since, since + 25 * HOUR):
        times = {"since": since.isoformat(), "until": until.isoformat()}
        answer = caller.get("upcoming/agenda", query_string=times)
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "until", answer.json


def test_jobs_that_are_too_many_leave_time_to_list_the_runs_of_some(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if finding the first runs takes all of the time."""
    for minute in range(20):
        caller.create(cron_expression=f"{minute} * * * *")
    moments = itertools.count()
    # Each look at the clock takes a tenth of the time.
    monkeypatch.setattr(agenda, "time", SimpleNamespace(monotonic=lambda: 0.1 * next(moments)))
    found = read(caller, next_hour())
    assert found["partial"] is True
    assert 0 < len(found["seconds"]) <= found["jobs"] < 10

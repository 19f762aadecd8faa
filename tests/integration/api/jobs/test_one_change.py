"""A change of one field leaves everything else of a job as it was, whichever way it comes in."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.storage.tables import jobs, schedules
from integration.api.callers import Caller
from integration.api.rows import fates, in_seconds, plan, stored_job, stored_schedule

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

#: Another value of each field that any job may change alone.
CHANGES: dict[str, Any] = {
    "name": "Other",
    "description": "Other",
    "payload": {"url": "https://example.com/other"},
    "tags": ["other"],
    "notify": ["other@example.com"],
    "max_attempts": 9,
    "retry_delays": [7.0],
    "retry_jitter": 0.5,
    "timeout_seconds": 17.0,
    "misfire_policy": "skip",
    "misfire_grace_seconds": 17.0,
    "overlap_policy": "skip",
    "shadow": True,
    "max_runs": 11,
    "ends_at": "2031-01-01T00:00:00.000Z",
    "jitter_seconds": 1800.0,
    "timezone": "Asia/Tokyo",
}
KINDS: dict[str, dict[str, Any]] = {
    "interval": {"schedule_type": "interval", "interval_seconds": 86_400, "cron_expression": ...},
    "interval with a beginning": {
        "schedule_type": "interval",
        "interval_seconds": 86_400,
        "cron_expression": ...,
        "starts_at": "2020-01-01T05:00:00.000Z",
    },
    "cron": {"cron_expression": "0 */6 * * *", "timezone": "Europe/Berlin"},
    "cron of both days": {"cron_expression": "0 6 1-31 * MON-SUN", "day_match": "all"},
    "once": {"schedule_type": "once", "cron_expression": ...},
}
FIELDS = {
    "description": "What it is for",
    "tags": ["a", "b"],
    "notify": ["me@example.com"],
    "max_attempts": 3,
    "retry_delays": [1.0, 2.0],
    "retry_jitter": 0.25,
    "timeout_seconds": 12.0,
    "misfire_policy": "run_all",
    "misfire_grace_seconds": 90.0,
    "overlap_policy": "queue_one",
    "max_runs": 5,
    "ends_at": "2030-01-01T00:00:00.000Z",
    "jitter_seconds": 600.0,
}
STATES = ["due later", "overdue", "paused", "completed"]
WAYS = ["PATCH", "PUT", "PUT by name"]

#: What follows from several fields, or counts changes.
_DERIVED = {"version", "updated_at", "next_run_at", "next_runs", "schedule_description", "status"}
_MOVED_BY = {"jitter_seconds": {"next_run_at"}}


def made_in(caller: Caller, db: Engine, kind: str, state: str, **changes: Any) -> dict[str, Any]:
    """Create a job that has been there for a while, with two of its five runs used."""
    if kind == "once":
        changes = {"run_at": in_seconds(3600).isoformat(), **changes}
    made = caller.create(**{**FIELDS, **KINDS[kind], **changes})
    ago = timedelta(0) if state == "due later" else 3 * DAY
    before = stored_schedule(db, made["id"])
    moved: dict[str, Any] = {
        "runs_left": 3,
        "resumed_at": in_seconds(-5 * 86_400),
        "next_run_at": before["next_run_at"] - ago,
        "active": state not in {"paused", "completed"},
    }
    if before["anchor"] is not None:
        moved["anchor"] = before["anchor"] - ago
    if kind == "interval":
        moved["anchor"] -= 7 * HOUR
        moved["next_run_at"] -= 7 * HOUR
    if state == "completed":
        moved["next_run_at"] = None
        moved["ends_at"] = in_seconds(-86_400)
        if kind == "once":
            moved["ends_at"] = before["ends_at"]
    _set(db, made, **moved)
    if state in {"paused", "completed"}:
        with db.begin() as connection:
            connection.execute(jobs.update().where(jobs.c.id == made["id"]).values(status=state))
    return dict(caller.get(f"jobs/{made['id']}").json)


def _set(db: Engine, made: dict[str, Any], **columns: Any) -> None:
    with db.begin() as connection:
        mine = schedules.update().where(schedules.c.job_id == made["id"])
        connection.execute(mine.values(**columns))


def send(caller: Caller, way: str, made: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    path = f"jobs/{made['id']}"
    if way == "PATCH":
        answer = caller.patch(path, change)
    elif way == "PUT":
        answer = caller.put(path, {**caller.get(path).json, **change})
    else:
        read = {**caller.get(path).json, **change}
        allowed = {name: read[name] for name in read if name not in {"id", "status"}}
        answer = caller.put(f"jobs/by-name/{made['name']}", allowed)
    assert answer.status_code == 200, (way, change, answer.text)
    return dict(answer.json)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_change_of_one_field_leaves_all_others(
    caller: Caller, db: Engine, kind: str, state: str
) -> None:
    """Fails for a field that is not kept, and for a position that is computed anew."""
    for number, (field, value) in enumerate(CHANGES.items()):
        way = WAYS[number % len(WAYS)] if field != "name" else "PATCH"
        made = made_in(caller, db, kind, state, name=f"Job {number}")
        job_before = stored_job(db, made["id"])
        before = stored_schedule(db, made["id"])
        answer = send(caller, way, made, {field: value})
        after = stored_schedule(db, made["id"])
        assert answer[field] == value, (way, field)
        left = made.keys() - _DERIVED - {field}
        assert {name: answer[name] for name in left} == {name: made[name] for name in left}, field
        expected = _expected(dict(before), kind, state, field, value, after)
        assert dict(after) == expected, (way, field)
        changed = {
            name for name in job_before if stored_job(db, made["id"])[name] != job_before[name]
        }
        assert changed <= {field, "version", "updated_at", "status"}, (way, field)
        if not (state == "completed" and field == "ends_at"):
            assert answer["status"] == made["status"], (way, field)


def _expected(
    before: dict[str, Any], kind: str, state: str, field: str, value: Any, after: Any
) -> dict[str, Any]:
    """Return the row of ``schedules`` that a change of ``field`` leads to."""
    expected = {**before, field: value} if field in before else dict(before)
    if field == "ends_at":
        expected["ends_at"] = datetime.fromisoformat(value)
        if state == "completed" and kind != "once":
            # It has instants again.
            revived = ("active", "next_run_at", "resumed_at", "zone_rules")
            assert after["active"]
            assert after["next_run_at"] > clock.now()
            expected |= {name: after[name] for name in revived}
    if field == "max_runs":
        expected["runs_left"] = 9
    if field == "jitter_seconds" and before["next_run_at"] is not None:
        # The same occurrence, with another offset of the same hash.
        shift = after["next_run_at"] - before["next_run_at"]
        assert timedelta(seconds=-600) < shift < timedelta(seconds=1800)
        expected["next_run_at"] = after["next_run_at"]
    if field in {"jitter_seconds", "ends_at"} and state == "completed":
        expected |= {name: after[name] for name in ("resumed_at", "zone_rules")}
    if field == "timezone" and kind.startswith("cron"):
        began = ("next_run_at", "resumed_at", "zone_rules")
        expected |= {name: after[name] for name in began}
    return expected


def test_a_change_beside_an_interval_keeps_its_phase(caller: Caller) -> None:
    made = caller.create(**KINDS["interval"])
    changed = caller.patch(f"jobs/{made['id']}", {"ends_at": "2030-01-01T00:00:00Z"}).json
    assert changed["next_run_at"] == made["next_run_at"]


def test_another_length_or_beginning_of_an_interval_counts_anew(
    caller: Caller, db: Engine
) -> None:
    for change in ({"interval_seconds": 7200}, {"starts_at": "2029-01-01T00:00:00Z"}):
        made = made_in(caller, db, "interval", "due later")
        before = stored_schedule(db, made["id"])
        send(caller, "PATCH", made, change)
        after = stored_schedule(db, made["id"])
        assert after["anchor"] != before["anchor"]
        assert after["runs_left"] == before["runs_left"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"ends_at": "2030-01-01T00:00:00Z"},
        {"cron_expression": "*/2 * * * * *"},
        {"jitter_seconds": 5},
        {"timezone": "Asia/Tokyo"},
        {"schedule_type": "interval", "interval_seconds": 5},
        {"misfire_policy": "skip"},
    ],
)
def test_only_max_runs_gives_runs(caller: Caller, db: Engine, change: dict[str, Any]) -> None:
    made = caller.create(cron_expression="* * * * * *", max_runs=4)
    _set(db, made, runs_left=1)
    caller.patch(f"jobs/{made['id']}", change)
    assert stored_schedule(db, made["id"])["runs_left"] == 1
    caller.patch(f"jobs/{made['id']}", {"max_runs": 6})
    assert stored_schedule(db, made["id"])["runs_left"] == 3


def test_a_job_whose_runs_are_used_up_stays_completed_until_it_gets_more(
    caller: Caller, db: Engine
) -> None:
    made = caller.create(cron_expression="* * * * * *", max_runs=4)
    _set(db, made, runs_left=0, next_run_at=None, active=False)
    with db.begin() as connection:
        mine = jobs.update().where(jobs.c.id == made["id"])
        connection.execute(mine.values(status="completed"))
    changed = caller.patch(f"jobs/{made['id']}", {"cron_expression": "0 9 * * *"}).json
    assert (changed["status"], changed["next_run_at"]) == ("completed", None)
    changed = caller.patch(f"jobs/{made['id']}", {"max_runs": 5}).json
    assert (changed["status"], len(changed["next_runs"])) == ("active", 1)


def test_an_occurrence_planned_ahead_moves_with_its_jitter(caller: Caller, db: Engine) -> None:
    """It is not lost although its row is cancelled, and does not cost a run."""
    made = made_in(caller, db, "interval", "due later")
    before = stored_schedule(db, made["id"])
    offset = before["next_run_at"] - before["anchor"]
    ahead = in_seconds(60)
    [planned] = plan(db, caller, made["id"], [ahead])
    _set(db, made, anchor=ahead - offset, next_run_at=ahead + DAY, runs_left=2)
    caller.patch(f"jobs/{made['id']}", {"jitter_seconds": 0})
    after = stored_schedule(db, made["id"])
    assert (after["next_run_at"], after["runs_left"]) == (ahead - offset, 3)
    assert fates(db, [planned]) == [("cancelled", "rescheduled")]


@pytest.mark.parametrize("state", ["overdue", "paused"])
def test_another_beginning_leaves_what_is_overdue(caller: Caller, db: Engine, state: str) -> None:
    made = made_in(caller, db, "cron", state)
    before = stored_schedule(db, made["id"])
    send(caller, "PATCH", made, {"starts_at": in_seconds(-9 * 86_400).isoformat()})
    after = stored_schedule(db, made["id"])
    assert {**after, "starts_at": None} == {**before, "starts_at": None}


def test_an_earlier_beginning_has_earlier_instants(caller: Caller) -> None:
    later = in_seconds(30 * 86_400)
    made = caller.create(cron_expression="0 * * * *", starts_at=later.isoformat())
    changed = caller.patch(f"jobs/{made['id']}", {"starts_at": None}).json
    assert datetime.fromisoformat(changed["next_run_at"]) < clock.now() + HOUR


def test_what_was_overdue_is_given_up_if_the_new_end_lies_before_it(
    caller: Caller, db: Engine
) -> None:
    made = made_in(caller, db, "cron", "overdue")
    ended = in_seconds(-4 * 86_400).isoformat()
    refused = caller.patch(f"jobs/{made['id']}", {"ends_at": ended})
    assert refused.status_code == 422
    assert "before the first run" in refused.text


def test_pausing_and_resuming_leave_everything_else(caller: Caller, db: Engine) -> None:
    made = made_in(caller, db, "interval", "due later")
    before = stored_schedule(db, made["id"])
    caller.post("jobs/bulk/pause", {"ids": [made["id"]]})
    caller.post(f"jobs/{made['id']}/resume")
    caller.post(f"jobs/{made['id']}/pause")
    caller.post("jobs/bulk/resume", {"ids": [made["id"]]})
    after = stored_schedule(db, made["id"])
    assert {**after, "resumed_at": None} == {**before, "resumed_at": None}

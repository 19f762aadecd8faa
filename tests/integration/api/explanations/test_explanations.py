"""Every answer to the question why an instant did or did not run."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from chronos_common import clock, ids
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.cron.expression import Parsed
from chronos_common.domain.schedules import counting
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage import audit, zone_rules
from chronos_common.storage.executions import skipped
from chronos_common.storage.executions.skipped import NotRun
from integration.api.callers import Caller
from integration.api.rows import plan

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=each) for each in (1, 60, 3600, 86_400))


def hour(offset: int) -> datetime:
    """Return a whole hour, ``offset`` hours from the one that is under way."""
    return clock.now().replace(minute=0, second=0, microsecond=0) + offset * HOUR


@pytest.fixture
def job(caller: Caller, db: Engine) -> dict[str, Any]:
    """A job of every hour, made ten days ago; its schedule stands at the next hour."""
    made = caller.create(cron_expression="0 * * * *", max_attempts=3)
    with db.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET created_at = created_at - interval '10 days' WHERE id = :id"),
            {"id": made["id"]},
        )
        connection.execute(
            text(
                "UPDATE audit_log SET at = at - interval '10 days', id = :new"
                " WHERE subject_id = :id"
            ),
            {"id": made["id"], "new": ids.new_id(clock.now() - 10 * DAY)},
        )
    return made


def ask(caller: Caller, job: dict[str, Any], at: datetime) -> dict[str, Any]:
    answer = caller.get(f"jobs/{job['id']}/why?at={at:%Y-%m-%dT%H:%M:%S.%f}Z")
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def verdict(caller: Caller, job: dict[str, Any], at: datetime) -> tuple[str, str]:
    found = ask(caller, job, at)
    return found["verdict"], found["explanation"]


def change(db: Engine, job: dict[str, Any], at: datetime, **values: Any) -> None:
    """Change the job's execution at an instant as a worker or a scheduler would have."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    identifier = ids.occurrence_id(UUID(job["id"]), at)
    with db.begin() as connection:
        connection.execute(
            text(f"UPDATE executions SET {columns} WHERE id = :id"),  # noqa: S608 - ours
            values | {"id": identifier},
        )


def end_without_running(
    db: Engine, caller: Caller, job: dict[str, Any], at: datetime, **others: Any
) -> None:
    row = NotRun(
        **{
            "id": ids.occurrence_id(UUID(job["id"]), at),
            "workspace_id": caller.workspace_id,
            "job_id": UUID(job["id"]),
            "queue": "webhooks",
            "scheduled_for": at,
            "status": Status.SKIPPED,
            "reason": Reason.MISFIRE,
        }
        | others
    )
    with db.begin() as connection:
        skipped.add(connection, [row], now=clock.now())


FATES: list[tuple[dict[str, Any], str]] = [
    ({"status": "succeeded", "finished_at": 2, "started_at": 0.013, "http_status": 200},
     "(13 ms after its instant) and succeeded with HTTP status 200, at the first attempt."),
    ({"status": "failed", "finished_at": 2, "started_at": 1, "attempt": 3, "error": "500 Oh."},
     "and failed, after 3 attempts: 500 Oh."),
    ({"status": "failed", "finished_at": 0, "error": "It cannot be followed.",
      "reason": "invalid"}, "It failed before it started: It cannot be followed."),
    ({"status": "skipped", "finished_at": 0, "reason": "overlap"},
     "It did not run: an earlier execution of the job had not finished (overlap_policy)."),
    ({"status": "cancelled", "finished_at": 0, "reason": "paused"},
     "It did not run: the job was paused."),
    ({"status": "cancelled", "finished_at": 9, "started_at": 1, "reason": "cancelled"},
     "It was started, and cancelled: somebody cancelled it."),
    ({"status": "running", "started_at": 1, "attempt": 2, "worker_id": UUID(int=1)},
     "It is running: attempt 2 of 3."),
    ({"status": "retrying", "started_at": 1, "attempt": 2, "due_at": 60, "error": "503 Busy."},
     "and attempt 1 of 3 failed: 503 Busy. It is tried again at "),
]  # fmt: skip


@pytest.mark.parametrize(("values", "expected"), FATES)
def test_what_has_a_record_is_told_from_it(
    caller: Caller, job: dict[str, Any], db: Engine, values: dict[str, Any], expected: str
) -> None:
    at = hour(-3)
    plan(db, caller, job["id"], [at])
    moments = {"finished_at", "started_at", "due_at"}
    seconds = {name: at + values[name] * SECOND for name in moments & values.keys()}
    change(db, job, at, **(values | seconds))
    found = ask(caller, job, at)
    assert found["verdict"] == "recorded"
    assert expected in found["explanation"]
    assert found["execution"]["status"] == values["status"]
    assert datetime.fromisoformat(found["previous"]) == hour(-4)
    assert datetime.fromisoformat(found["following"]) == hour(-2)


def test_the_success_of_a_celery_task_promises_no_more_than_chronos_knows(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    at = hour(-3)
    plan(db, caller, job["id"], [at])
    change(
        db,
        job,
        at,
        status="succeeded",
        queue="tasks",
        started_at=at,
        finished_at=at,
        duration_ms=3,
    )
    assert ask(caller, job, at)["explanation"].endswith(
        "That means: the broker has the task; Chronos does not see whether a worker performs it, "
        "nor how that ends."
    )


def test_what_waits_for_a_worker_says_whether_there_is_one(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    plan(db, caller, job["id"], [hour(-1)])
    with db.begin() as connection:
        connection.execute(text("DELETE FROM workers"))
    assert (
        "but none is alive; start one with 'chronos worker'" in verdict(caller, job, hour(-1))[1]
    )
    with db.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO workers (id, kind, hostname, pid, version, started_at, heartbeat_at,"
                " in_flight) VALUES (gen_random_uuid(), 'worker', 'test', 1, '0', :at, :at, 0)"
            ),
            {"at": clock.now()},
        )
    assert verdict(caller, job, hour(-1))[1].endswith("; a worker is alive.")


def test_a_trigger_is_told_from_an_instant_of_the_schedule(
    caller: Caller, job: dict[str, Any]
) -> None:
    made = caller.post(f"jobs/{job['id']}/execute").json
    at = datetime.fromisoformat(made["scheduled_for"]).replace(microsecond=0, tzinfo=UTC)
    found = ask(caller, job, at)
    assert found["execution"]["id"] == made["id"]
    assert found["explanation"].endswith("somebody triggered it (manual).")


def test_an_instant_that_shares_its_record_with_others_was_missed(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    end_without_running(db, caller, job, hour(-9), missed_count=4, missed_until=hour(-6))
    found = ask(caller, job, hour(-7))
    assert found["verdict"] == "missed"
    assert found["execution"]["missed_count"] == 4
    assert "One record stands for 4 occurrences from " in found["explanation"]
    assert "misfire_policy" in found["explanation"]
    assert ask(caller, job, hour(-7) + MINUTE)["verdict"] == "not_an_instant"
    assert ask(caller, job, hour(-5))["verdict"] == "unknown"


def test_before_its_creation_and_after_its_end_there_is_no_job(
    caller: Caller, job: dict[str, Any]
) -> None:
    was, says = verdict(caller, job, hour(-24 * 11))
    assert (was, says[:45]) == ("not_created_yet", "The job did not exist yet: it was created at ")
    caller.delete(f"jobs/{job['id']}")
    assert verdict(caller, job, hour(2))[0] == "deleted"


def test_what_is_no_instant_names_the_nearest_ones(caller: Caller, job: dict[str, Any]) -> None:
    found = ask(caller, job, hour(-5) + 7 * MINUTE)
    assert found["verdict"] == "not_an_instant"
    assert f"the one before is {hour(-5):%Y-%m-%d %H}:00:00 UTC" in found["explanation"]
    assert f"the next one is {hour(-4):%Y-%m-%d %H}:00:00 UTC" in found["explanation"]


def test_bounds_of_the_schedule_are_named(caller: Caller) -> None:
    bounds = {"starts_at": hour(3).isoformat(), "ends_at": hour(6).isoformat()}
    job = caller.create(cron_expression="0 * * * *", **bounds)
    was, says = verdict(caller, job, hour(2))
    assert (was, "(starts_at)" in says) == ("out_of_bounds", True)
    was, says = verdict(caller, job, hour(7))
    assert (was, "(ends_at)" in says) == ("out_of_bounds", True)
    assert verdict(caller, job, hour(4))[0] == "to_come"


def test_a_pause_is_told_with_who_made_it(caller: Caller, job: dict[str, Any], db: Engine) -> None:
    caller.post(f"jobs/{job['id']}/pause")
    was, says = verdict(caller, job, hour(1))
    assert was == "paused"
    assert f"by {caller.user_id}@example.com" in says
    with db.begin() as connection:
        connection.execute(
            text("UPDATE audit_log SET at = :at WHERE subject_id = :id AND action = 'job.pause'"),
            {"at": hour(-5), "id": job["id"]},
        )
    assert verdict(caller, job, hour(-4))[0] == "paused"
    assert verdict(caller, job, hour(-6))[0] != "paused"
    caller.post(f"jobs/{job['id']}/resume")
    was, says = verdict(caller, job, hour(-4))
    assert (was, "was paused then" in says) == ("paused", True)


def test_a_job_that_was_made_paused_is_paused(caller: Caller) -> None:
    job = caller.create(cron_expression="0 * * * *", status="paused")
    assert verdict(caller, job, hour(1)) == (
        "paused",
        "The job is paused; as long as it is, nothing of it runs.",
    )


def test_another_schedule_then_is_told(caller: Caller, job: dict[str, Any]) -> None:
    caller.patch(f"jobs/{job['id']}", {"cron_expression": "30 * * * *"})
    was, says = verdict(caller, job, hour(-5))
    assert was == "schedule_changed"
    assert "cron_expression was '0 * * * *'" in says
    # A change of something else does not make other instants.
    caller.patch(f"jobs/{job['id']}", {"name": "Other"})
    assert verdict(caller, job, hour(3))[0] == "not_an_instant"


def test_history_past_its_retention_is_gone(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    with db.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET created_at = :at WHERE id = :id"),
            {"at": hour(-24 * 60), "id": job["id"]},
        )
    assert verdict(caller, job, hour(-24 * 40)) == (
        "pruned",
        "The history of that day was removed: it is kept for 30 days.",
    )


def test_what_is_due_and_not_planned_waits_for_a_scheduler(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    with db.begin() as connection:
        connection.execute(
            text("UPDATE schedules SET next_run_at = :at WHERE job_id = :id"),
            {"at": hour(-1), "id": job["id"]},
        )
        connection.execute(text("DELETE FROM workers"))
    was, says = verdict(caller, job, hour(-1))
    assert was == "not_planned_yet"
    assert says.endswith("no scheduler is alive; start one with 'chronos scheduler'.")


def test_runs_that_are_used_up_are_told(caller: Caller, job: dict[str, Any], db: Engine) -> None:
    few = caller.create(cron_expression="0 * * * *", max_runs=2)
    assert [verdict(caller, few, hour(each))[0] for each in (1, 2, 3)] == [
        "to_come",
        "to_come",
        "completed",
    ]
    with db.begin() as connection:
        for statement in (
            "UPDATE schedules SET next_run_at = NULL, active = false WHERE job_id = :id",
            "UPDATE jobs SET status = 'completed' WHERE id = :id",
        ):
            connection.execute(text(statement), {"id": job["id"]})
    for at in (hour(-2), hour(2)):
        assert verdict(caller, job, at)[0] == "completed"


def test_an_instant_that_the_rules_of_its_zone_moved_is_told(
    caller: Caller, job: dict[str, Any], db: Engine
) -> None:
    before, after = hour(5) + MINUTE, hour(5) + 3 * MINUTE
    details = {
        "name": "Ping",
        "timezone": "Europe/Berlin",
        "before": {"next_run_at": clock.rfc3339(before), "timezone_database": "2026e"},
        "after": {"next_run_at": clock.rfc3339(after), "timezone_database": "2026f"},
    }
    with db.begin() as connection:
        audit.append_automatic(
            connection,
            action=zone_rules.ACTION,
            subject_type="job",
            details={(caller.workspace_id, UUID(job["id"])): details},
            now=clock.now(),
        )
    was, says = verdict(caller, job, before)
    assert was == "schedule_changed"
    assert "The rules of the time zone Europe/Berlin changed at" in says
    assert says.endswith(f"lies at {after:%Y-%m-%d %H:%M:%S} UTC.")
    assert verdict(caller, job, after)[0] == "not_an_instant"


class Work:
    """How often a schedule is asked for an instant, or a date."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for owner, name in ((cron, "next_after"), (Parsed, "names")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Any) -> Any:
        def count(*arguments: Any) -> Any:
            self.count += 1
            return function(*arguments)

        return count


@pytest.mark.parametrize(
    ("expression", "instant"),
    [
        ("30 1 * * *", "2400-02-29T01:30:00"),
        ("* * * * * *", "2400-02-29T01:30:00"),
        ("0 0 29 2 MON", "2400-02-28T00:00:00"),
        ("0 0 29 2 *", "2400-02-29T00:00:00"),
        ("0 0 29 2 *", "2400-02-29T00:00:01"),
    ],
)
@pytest.mark.parametrize("max_runs", [None, 1, 2000, 200_000, 2**31 - 1])
def test_an_instant_far_away_is_not_reached_run_by_run(
    caller: Caller,
    monkeypatch: pytest.MonkeyPatch,
    expression: str,
    instant: str,
    max_runs: int | None,
) -> None:
    """Fails if the work grows with the distance: a century has 36,525 days."""
    far = caller.create(cron_expression=expression, timezone="UTC", max_runs=max_runs)
    work = Work(monkeypatch)
    was, _ = verdict(caller, far, datetime.fromisoformat(instant).replace(tzinfo=UTC))
    assert was in {"to_come", "completed", "not_an_instant"}
    assert work.count < 3 * counting.COUNTED.days


def test_runs_that_are_left_are_counted_for_some_years_only(caller: Caller) -> None:
    few = caller.create(cron_expression="30 1 * * *", max_runs=3000)
    near, later = (hour(0).replace(hour=1, minute=30) + days * DAY for days in (1000, 2000))
    assert verdict(caller, few, near) == (
        "to_come",
        f"It is to come: the job will run at {near:%Y-%m-%d %H:%M:%S} UTC.",
    )
    was, says = verdict(caller, few, later)
    assert was == "to_come"
    assert "unless the 3000 runs that are left (max_runs) come before it" in says


def test_jitter_within_the_second_is_found_by_the_second(caller: Caller) -> None:
    job = caller.create(cron_expression="0 * * * *", jitter_seconds=30)
    runs_at = datetime.fromisoformat(job["next_run_at"])
    assert ask(caller, job, runs_at)["verdict"] == "to_come"
    assert ask(caller, job, runs_at.replace(microsecond=0))["verdict"] == "to_come"


@pytest.mark.parametrize("at", ["", "?at=yesterday", "?at=2026-11-21T09:00:00"])
def test_the_instant_must_be_given_with_its_offset(
    caller: Caller, job: dict[str, Any], at: str
) -> None:
    assert caller.get(f"jobs/{job['id']}/why{at}").status_code == 422


def test_others_are_told_nothing(stranger: Caller, job: dict[str, Any]) -> None:
    answer = stranger.get(f"jobs/{job['id']}/why?at=2026-11-21T09:00:00Z")
    assert answer.status_code == 404

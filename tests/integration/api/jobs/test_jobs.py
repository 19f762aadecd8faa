"""Jobs: create, read, list, delete, run now."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from chronos_common import clock
from chronos_common.storage.tables import audit_log, executions, jobs, schedules
from integration.api.callers import DAILY, WEBHOOK, Caller, errors_of, job


def test_a_created_job_says_when_it_runs(caller: Caller) -> None:
    answer = caller.post("jobs", job(timezone="Europe/Berlin", cron_expression="0 9 * * 1"))
    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["Location"] == f"/api/v1/jobs/{made['id']}"
    assert answer.headers["ETag"].startswith('"1.')
    assert made["schedule_description"] == "At 09:00 on Mondays (Europe/Berlin)"
    assert made["next_run_at"] == made["next_runs"][0]
    assert len(made["next_runs"]) == 5
    assert (made["status"], made["job_type"], made["type"]) == ("active", "recurring", "webhook")
    assert made["created_by"] == str(caller.user_id)


def test_the_newsletter_of_the_documentation_is_accepted_as_written(caller: Caller) -> None:
    newsletter = {
        "name": "Weekly newsletter",
        "description": "Every Monday",
        "type": "webhook",
        "payload": {
            "url": "https://example.com/hook",
            "method": "POST",
            "headers": {},
            "params": {},
            "body": {"template": "weekly_digest"},
        },
        "schedule_type": "cron",
        "cron_expression": "0 9 * * 1",
        "timezone": "Europe/Berlin",
        "max_attempts": 4,
        "retry_delays": [60, 300, 900],
        "timeout_seconds": 30,
        "misfire_policy": "run_latest",
        "overlap_policy": "allow",
        "tags": ["mail"],
        "notify": ["ops@example.com"],
    }
    made = caller.post("jobs", newsletter)
    assert made.status_code == 201
    read = caller.get(f"jobs/{made.json['id']}")
    assert read.json == made.json
    assert newsletter.items() <= read.json.items()


def test_a_created_job_is_scheduled_for_its_first_instant(caller: Caller, db: Engine) -> None:
    run_at = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    made = caller.create(
        schedule_type="once", run_at="2031-05-06T09:08:09+02:00", cron_expression=...
    )
    assert made["run_at"] == made["next_run_at"] == "2031-05-06T07:08:09.000Z"
    assert made["job_type"] == "one_time"
    with db.connect() as connection:
        row = connection.execute(select(schedules).where(schedules.c.job_id == made["id"])).one()
    assert (row.active, row.next_run_at, row.runs_left) == (True, run_at, None)


def test_an_interval_counts_from_its_start(caller: Caller) -> None:
    made = caller.create(
        schedule_type="interval",
        interval_seconds=90,
        starts_at="2031-01-01T00:00:00Z",
        cron_expression=...,
    )
    assert made["next_runs"][:2] == ["2031-01-01T00:00:00.000Z", "2031-01-01T00:01:30.000Z"]


def test_next_runs_end_with_max_runs(caller: Caller) -> None:
    assert len(caller.create(max_runs=2)["next_runs"]) == 2


def test_a_job_can_be_created_paused(caller: Caller) -> None:
    made = caller.create(status="paused")
    assert (made["status"], made["next_run_at"], made["next_runs"]) == ("paused", None, [])
    assert "status" in errors_of(caller.post("jobs", job(status="completed")))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("email", {"to": "user@example.com", "subject": "Report", "body": "All is well."}),
        ("celery_task", {"task": "reports.build", "kwargs": {"month": 7}}),
    ],
)
def test_every_type_of_job_is_stored(
    caller: Caller, kind: str, payload: dict[str, object]
) -> None:
    assert caller.create(type=kind, payload=payload)["payload"] == payload


def test_naming_a_backoff_makes_delays_exponential(caller: Caller) -> None:
    made = caller.create(backoff_seconds=5, backoff_factor=3)
    assert (made["retry_delays"], made["backoff_seconds"], made["backoff_factor"]) == ([], 5, 3)
    plain = caller.create()
    assert (plain["retry_delays"], plain["backoff_seconds"]) == ([60, 300, 900], None)


def test_a_list_is_filtered(caller: Caller, stranger: Caller) -> None:
    first = caller.create(name="Alpha report", tags=["x", "y"])
    second = caller.create(name="Beta 100%", description="an alpha too", status="paused")
    mail = {"to": ["a@example.com"], "subject": "s"}
    third = caller.create(name="Gamma", type="email", payload=mail)
    stranger.create(name="Alpha of a stranger", tags=["x"])

    def names(query: str) -> set[str]:
        return {each["id"] for each in caller.get(f"jobs?{query}").json["items"]}

    assert names("") == {first["id"], second["id"], third["id"]}
    assert names("status=paused") == {second["id"]}
    assert names("type=email") == {third["id"]}
    assert names("tag=y") == {first["id"]}
    assert names("search=ALPHA") == {first["id"], second["id"]}
    assert names("search=100%25") == {second["id"]}
    assert names("status=active&search=alpha") == {first["id"]}


def test_a_list_is_sorted_and_paged(caller: Caller) -> None:
    for name in ("b", "a", "c"):
        caller.create(name=name)
    page = caller.get("jobs?sort=name&limit=2").json
    assert [each["name"] for each in page["items"]] == ["a", "b"]
    assert (page["total"], page["page"], page["limit"]) == (3, 1, 2)
    rest = caller.get("jobs?sort=name&limit=2&page=2").json
    assert [each["name"] for each in rest["items"]] == ["c"]
    down = caller.get("jobs?sort=-name").json
    assert [each["name"] for each in down["items"]] == ["c", "b", "a"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
def test_a_cursor_goes_on_where_the_page_ended(caller: Caller, sort: str) -> None:
    made = [caller.create(name=str(number))["id"] for number in range(3)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = caller.get(f"jobs?sort={sort}&limit=1{cursor}").json
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == (made if sort == "created_at" else made[::-1])


def test_a_list_refuses_what_it_does_not_know(caller: Caller) -> None:
    assert errors_of(caller.get("jobs?stautus=active")) == {"stautus": "Unknown field; remove it."}
    assert "cursor=<next_cursor>" in errors_of(caller.get("jobs?page=101&limit=100"))["page"]
    assert "page" in errors_of(caller.get("jobs?page=9999999999999999999999"))
    for query in ("cursor=abc", "cursor=%00", "page=2&cursor=AaH7-R3LdOS8D3oRE5jKwA"):
        assert caller.get(f"jobs?{query}").status_code == 422
    assert "cursor" in errors_of(caller.get("jobs?sort=name&cursor=AaH7-R3LdOS8D3oRE5jKwA"))


def test_a_deleted_job_is_gone_and_its_history_stays(caller: Caller, db: Engine) -> None:
    made = caller.create()
    execution = caller.post(f"jobs/{made['id']}/execute").json
    assert caller.delete(f"jobs/{made['id']}").status_code == 204
    assert caller.get(f"jobs/{made['id']}").status_code == 404
    assert caller.get(f"jobs/{made['id']}/executions").status_code == 404
    assert caller.delete(f"jobs/{made['id']}").status_code == 404
    assert caller.get("jobs").json["total"] == 0
    kept = caller.get(f"executions/{execution['id']}").json
    assert (kept["status"], kept["reason"]) == ("cancelled", "deleted")
    with db.connect() as connection:
        row = connection.execute(select(schedules).where(schedules.c.job_id == made["id"])).one()
    assert not row.active


def test_running_a_job_now_queues_an_execution_that_is_due(caller: Caller, db: Engine) -> None:
    made = caller.create()
    before = clock.now()
    answer = caller.post(f"jobs/{made['id']}/execute")
    assert answer.status_code == 202
    execution = answer.json
    assert answer.headers["Location"] == f"/api/v1/executions/{execution['id']}"
    assert (execution["trigger"], execution["status"]) == ("manual", "queued")
    with db.connect() as connection:
        query = select(executions).where(executions.c.id == execution["id"])
        row = connection.execute(query).one()
    assert before - timedelta(milliseconds=1) <= row.due_at <= clock.now()
    assert (row.queue, row.dispatched_at, row.workspace_id) == (
        "webhooks",
        None,
        caller.workspace_id,
    )


@pytest.mark.parametrize("status", ["paused", "completed"])
def test_a_job_that_is_not_active_can_be_run_now(caller: Caller, db: Engine, status: str) -> None:
    made = caller.create()
    with db.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == made["id"]).values(status=status))
    assert caller.post(f"jobs/{made['id']}/execute").status_code == 202


def test_the_status_tells_where_a_job_stands(caller: Caller) -> None:
    made = caller.create()
    empty = caller.get(f"jobs/{made['id']}/status").json
    assert empty["unfinished"] == {"queued": 0, "running": 0, "retrying": 0}
    assert empty["latest_execution"] is None
    execution = caller.post(f"jobs/{made['id']}/execute").json
    found = caller.get(f"jobs/{made['id']}/status").json
    assert found["unfinished"]["queued"] == 1
    assert found["latest_execution"] == execution
    assert found["next_run_at"] == made["next_run_at"]


def test_every_change_is_in_the_audit_log(caller: Caller, db: Engine) -> None:
    job_id = caller.create(payload={**WEBHOOK, "headers": {"Authorization": "hidden"}})["id"]
    caller.patch(f"jobs/{job_id}", {"description": "new", **DAILY})
    caller.post(f"jobs/{job_id}/pause")
    caller.post(f"jobs/{job_id}/resume")
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    caller.post(f"executions/{execution_id}/cancel")
    caller.post(f"executions/{execution_id}/retry")
    caller.delete(f"jobs/{job_id}")
    query = (
        select(audit_log)
        .where(audit_log.c.workspace_id == caller.workspace_id)
        .order_by(audit_log.c.at)
    )
    with db.connect() as connection:
        rows = connection.execute(query).all()
    assert [row.action for row in rows] == [
        "job.create",
        "job.update",
        "job.pause",
        "job.resume",
        "job.execute",
        "execution.cancel",
        "execution.retry",
        "job.delete",
    ]
    assert {row.user_id for row in rows} == {caller.user_id}
    assert "hidden" not in str(rows)

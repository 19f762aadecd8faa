"""Each request of the five documents that Chronos grew from, sent as it is written there.

Those documents send no credentials, or a token; here each request has some.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from chronos_api.security import access
from chronos_api.security.access import Principal, Role, Scope
from chronos_api.transactions import Call
from chronos_api.workspaces import keys
from chronos_common import clock
from chronos_common.storage.tables import executions
from integration.api.callers import Caller, document_of, errors_of
from integration.api.rows import in_seconds, plan, stored_job, stored_schedule

HOOK = "https://hooks.example.com/default"

# 001
NEWSLETTER: dict[str, Any] = {
    "name": "Weekly Newsletter",
    "description": "Send newsletter every Monday",
    "job_type": "recurring",
    "schedule_type": "cron",
    "cron_expression": "0 9 * * 1",
    "payload": {"template": "weekly_digest"},
}
# 002
WEATHER: dict[str, Any] = {
    "name": "Daily Weather Report",
    "schedule": "0 8 * * *",
    "type": "WEBHOOK",
    "payload": {
        "url": "https://api.openweathermap.org/data/2.5/weather",
        "method": "GET",
        "params": {"q": "London", "appid": "your-api-key"},
    },
}
WEBHOOK: dict[str, Any] = {
    "type": "WEBHOOK",
    "payload": {
        "url": "https://api.example.com/endpoint",
        "method": "POST",
        "headers": {"Authorization": "Bearer token"},
        "body": {"action": "process"},
    },
}
EMAIL: dict[str, Any] = {
    "type": "EMAIL",
    "payload": {
        "to": "user@example.com",
        "subject": "Daily Report",
        "body": "Your daily summary...",
    },
}
# 004
POST: dict[str, Any] = {
    "schedule": "31 10-15 1 * * MON-FRI",
    "api": "https://api.example.com/webhook",
    "type": "ATLEAST_ONCE",
}


def set_default_webhook(owner: Caller, url: str | None = HOOK) -> None:
    answer = owner.patch("/api/v1/workspace", {"default_webhook_url": url})
    assert answer.json["default_webhook_url"] == url


def submit(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.post("/api/submitJob", {"payload": {"url": HOOK}, **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json["job"])


def new_key(db: Engine, caller: Caller, *scopes: Scope) -> str:
    owner = Principal(caller.user_id, caller.workspace_id, Role.OWNER)
    call = Call(engine=db, caller=owner, now=clock.now())
    with caller.app.app_context():
        return keys.create(call, name="Seeds", scopes=scopes, expires_at=None).text


def finish(db: Engine, execution_id: UUID, **values: Any) -> None:
    """Record an outcome as a worker does."""
    now = clock.now()
    with db.begin() as connection:
        connection.execute(
            update(executions)
            .where(executions.c.id == execution_id)
            .values(
                {
                    "status": "succeeded",
                    "claimed_at": now,
                    "started_at": now,
                    "finished_at": now,
                    "duration_ms": 120,
                    "http_status": 200,
                    **values,
                }
            )
        )


# 001: /api/v1, with its job_type, and a payload that names no URL


def test_001_registers_and_logs_in(nobody: Caller) -> None:
    account = {"email": "seed001@example.com", "password": "SecurePass123!"}
    assert nobody.post("/api/v1/auth/register", account).status_code == 201
    assert "access_token" in nobody.post("/api/v1/auth/login", account).json


def test_001_manages_a_job_from_its_creation_to_its_end(caller: Caller) -> None:
    set_default_webhook(caller)
    made = caller.post("/api/v1/jobs", NEWSLETTER)
    assert made.status_code == 201
    assert NEWSLETTER.items() <= made.json.items()
    job = f"/api/v1/jobs/{made.json['id']}"
    listed = caller.get("/api/v1/jobs?status=active&page=1&limit=20").json
    assert [each["id"] for each in listed["items"]] == [made.json["id"]]
    assert caller.get(job).json["payload"] == {"template": "weekly_digest"}
    changed = caller.patch(job, {"name": "Updated Job Name", "status": "paused"}).json
    assert (changed["name"], changed["status"]) == ("Updated Job Name", "paused")
    assert caller.get("/api/v1/jobs?status=active&page=1&limit=20").json["items"] == []
    assert caller.post(f"{job}/resume").json["status"] == "active"
    assert caller.post(f"{job}/pause").json["status"] == "paused"
    execution = caller.post(f"{job}/execute").json
    page = caller.get(f"{job}/executions?page=1&limit=20").json
    assert [each["id"] for each in page["items"]] == [execution["id"]]
    read = caller.get(f"/api/v1/executions/{execution['id']}")
    assert read.json["trigger"] == "manual"
    logs = caller.get(f"/api/v1/executions/{execution['id']}/logs").json
    assert logs["items"][0]["message"] == "Triggered by hand"
    assert caller.delete(job).status_code == 204
    assert caller.get(job).status_code == 404


def test_001_reads_statistics_and_health(caller: Caller, nobody: Caller) -> None:
    assert caller.get("/api/v1/dashboard/stats").status_code == 200
    assert nobody.get("/api/v1/health").json["status"] == "ok"


def test_a_payload_without_a_url_needs_the_default_webhook(caller: Caller) -> None:
    refused = errors_of(caller.post("/api/v1/jobs", NEWSLETTER))
    assert list(refused) == ["payload.url"]
    assert "default_webhook_url" in refused["payload.url"]
    set_default_webhook(caller)
    job = f"/api/v1/jobs/{caller.post('/api/v1/jobs', NEWSLETTER).json['id']}"
    set_default_webhook(caller, None)
    # What is given is checked; what stays is not, and keeps nobody from another change.
    given = caller.patch(job, {"payload": {"template": "other"}})
    assert "payload.url" in errors_of(given)
    assert caller.patch(job, {"name": "Another"}).json["payload"] == NEWSLETTER["payload"]
    assert caller.patch(job, {"payload": {"url": HOOK}}).json["payload"] == {"url": HOOK}
    assert caller.post("/api/v1/jobs", {**NEWSLETTER, "type": "email"}).status_code == 422


# 002: /api/jobs with "schedule" and "type"


def test_002_manages_a_job_from_its_creation_to_its_end(caller: Caller, db: Engine) -> None:
    made = caller.post("/api/jobs", WEATHER)
    assert made.status_code == 201
    job = made.json["job"]
    assert (job["schedule"], job["type"], job["enabled"]) == ("0 8 * * *", "WEBHOOK", True)
    assert job["nextRunAt"].endswith("T08:00:00.000Z")
    stored = stored_job(db, job["id"])
    assert (stored["type"], stored["payload"]) == ("webhook", WEATHER["payload"])
    assert stored_schedule(db, job["id"])["expression"] == "0 8 * * *"
    path = f"/api/jobs/{job['id']}"
    assert caller.get(path).json["job"] == job
    changed = caller.put(path, {**WEATHER, "schedule": "0 9 * * *", "enabled": False}).json["job"]
    assert (changed["schedule"], changed["status"]) == ("0 9 * * *", "paused")
    ran = caller.post(f"{path}/run")
    assert ran.status_code == 202
    (run,) = caller.get(path).json["job"]["executions"]
    assert (run["id"], run["status"]) == (ran.json["execution_id"], "PENDING")
    assert caller.delete(path).json["status"] == "cancelled"
    assert caller.get(path).status_code == 404
    assert caller.get("/api/jobs").json["jobs"] == []


def test_002_gets_all_jobs_with_their_latest_executions(caller: Caller, db: Engine) -> None:
    ids = [caller.post("/api/jobs", {**WEATHER, "name": n}).json["job_id"] for n in "ab"]
    instants = [in_seconds(-60 * n) for n in range(7)]
    planned = plan(db, caller, ids[0], instants)
    finish(db, planned[0])
    finish(db, planned[1], status="failed", http_status=500, error="The target answered 500")
    listed = caller.get("/api/jobs").json
    assert (listed["total"], [job["name"] for job in listed["jobs"]]) == (2, ["b", "a"])
    idle, busy = listed["jobs"]
    assert idle["executions"] == []
    assert [run["id"] for run in busy["executions"]] == [str(each) for each in planned[:5]]
    assert [run["status"] for run in busy["executions"][:3]] == ["SUCCESS", "FAILED", "PENDING"]
    assert busy["executions"][1]["error"] == "The target answered 500"
    assert [each["name"] for each in caller.get("/api/jobs?page=2&limit=1").json["jobs"]] == ["a"]
    assert caller.get("/api/jobs?type=EMAIL").json["jobs"] == []
    assert caller.get("/api/jobs?status=active&type=WEBHOOK&search=b").json["total"] == 1


@pytest.mark.parametrize("kind", [WEBHOOK, EMAIL], ids=["webhook", "email"])
def test_002_has_these_types_of_jobs(caller: Caller, db: Engine, kind: dict[str, Any]) -> None:
    made = caller.post("/api/jobs", {"name": "Typed", "schedule": "0 8 * * *", **kind})
    assert made.json["job"]["type"] == kind["type"]
    assert stored_job(db, made.json["job_id"])["payload"] == kind["payload"]


def test_002_checks_the_health(nobody: Caller) -> None:
    assert nobody.get("/health").json["status"] == "ok"


def test_what_was_read_can_be_edited_and_sent_back(caller: Caller, db: Engine) -> None:
    body = {**WEBHOOK, "name": "Edited", "schedule": "0 8 * * *"}
    path = f"/api/jobs/{caller.post('/api/jobs', body).json['job_id']}"
    read = caller.get(path).json["job"]
    assert read["payload"]["headers"] == {"Authorization": "[redacted]"}
    changed = caller.put(path, {**read, "schedule": "2031-01-01T00:00:00Z"}).json["job"]
    assert changed["scheduled_time"] == changed["schedule"] == "2031-01-01T00:00:00.000Z"
    assert changed["cron_expression"] is None
    assert stored_job(db, read["id"])["payload"] == WEBHOOK["payload"]
    version = stored_job(db, read["id"])["version"]
    assert caller.put(path, changed).status_code == 200
    assert stored_job(db, read["id"])["version"] == version


# 003: /api/submitJob, cron_expression, scheduled_time, max_attempts, and cancel


def test_003_submits_a_recurring_and_a_one_time_job(caller: Caller, db: Engine) -> None:
    recurring = submit(caller, cron_expression="*/5 * * * *", max_attempts=3)
    assert (recurring["cron_expression"], recurring["max_attempts"]) == ("*/5 * * * *", 3)
    once = submit(caller, scheduled_time="2031-01-01T09:00:00Z")
    assert once["scheduled_time"] == once["nextRunAt"] == "2031-01-01T09:00:00.000Z"
    assert stored_schedule(db, once["job_id"])["kind"] == "once"
    assert once["name"] == "POST hooks.example.com/default"


def test_003_reschedules_reads_and_cancels_a_job(caller: Caller, db: Engine) -> None:
    job_id = submit(caller, scheduled_time="2031-01-01T09:00:00Z")["job_id"]
    path = f"/api/jobs/{job_id}"
    moved = caller.put(path, {"scheduled_time": "2032-02-02T10:00:00+01:00"}).json["job"]
    assert moved["scheduled_time"] == "2032-02-02T09:00:00.000Z"
    assert (
        caller.put(path, {"cron_expression": "0 7 * * *"}).json["job"]["schedule"] == "0 7 * * *"
    )
    status = caller.get(f"{path}/status").json
    assert (status["job_id"], status["status"]) == (job_id, "active")
    assert [job["job_id"] for job in caller.get("/api/jobs").json["jobs"]] == [job_id]
    (planned,) = plan(db, caller, job_id, [in_seconds(60)])
    assert caller.delete(path).status_code == 200
    status = caller.get(f"{path}/status").json
    assert (status["status"], status["next_run_at"]) == ("cancelled", None)
    assert status["latest_execution"]["id"] == str(planned)
    assert status["latest_execution"]["status"] == "cancelled"


def test_003_takes_its_api_key_from_the_body_and_from_the_query(
    nobody: Caller, caller: Caller, db: Engine
) -> None:
    key = new_key(db, caller, *Scope)
    one_time = {"scheduled_time": "2031-01-01T09:00:00Z", "payload": {"url": HOOK}}
    made = nobody.post("/api/submitJob", {"api_key": key, **one_time})
    assert made.status_code == 201
    assert key not in made.text
    assert nobody.post(f"/api/submitJob?api_key={key}", one_time).status_code == 201
    assert nobody.get(f"/api/jobs?api_key={key}").json["total"] == 2
    path = f"/api/jobs/{made.json['job_id']}"
    assert nobody.get(f"{path}?api_key={key}").json["job"]["id"] == made.json["job_id"]
    moved = nobody.put(path, {"api_key": key, "scheduled_time": "2032-01-01T09:00:00Z"})
    assert moved.json["job"]["scheduled_time"] == "2032-01-01T09:00:00.000Z"
    assert nobody.get(f"{path}/status?api_key={key}").json["status"] == "active"
    assert nobody.post(f"{path}/run?api_key={key}").status_code == 202
    assert nobody.delete(f"{path}?api_key={key}").status_code == 200
    posted = nobody.post("/jobs", {**POST, "api_key": key})
    assert len(nobody.get(f"/jobs/{posted.json['jobId']}/executions?api_key={key}").json) == 0


def test_an_api_key_counts_here_as_it_does_everywhere(
    nobody: Caller, caller: Caller, db: Engine
) -> None:
    reader = new_key(db, caller, Scope.JOBS_READ)
    assert nobody.post("/api/submitJob", {"cron_expression": "@daily"}).status_code == 401
    assert nobody.post("/api/submitJob", {"api_key": "chr_none"}).status_code == 401
    assert nobody.post("/api/submitJob", {"api_key": reader}).status_code == 403
    assert nobody.post("/api/submitJob", {"api_key": 7}).status_code == 401
    assert nobody.get(f"/api/jobs?api_key={reader}").status_code == 200
    assert nobody.get("/api/jobs", headers={"X-API-Key": reader}).status_code == 200


def test_the_status_of_a_cancelled_job_is_its_owners_only(
    caller: Caller, stranger: Caller
) -> None:
    path = f"/api/jobs/{submit(caller, cron_expression='@daily')['job_id']}"
    caller.delete(path)
    assert stranger.get(f"{path}/status").status_code == 404


# 004: POST /jobs, and the last five executions


def test_004_creates_a_job(caller: Caller, db: Engine) -> None:
    made = caller.post("/jobs", POST)
    assert made.status_code == 201
    assert list(made.json) == ["jobId"]
    stored = stored_job(db, made.json["jobId"])
    assert stored["payload"] == {"url": POST["api"], "method": "POST"}
    assert stored["name"] == "POST api.example.com/webhook"
    assert stored_schedule(db, made.json["jobId"])["expression"] == POST["schedule"]


def test_004_gets_the_last_five_executions(caller: Caller, db: Engine) -> None:
    job_id = caller.post("/jobs", POST).json["jobId"]
    planned = plan(db, caller, job_id, [in_seconds(-60 * n) for n in range(7)])
    started_at = clock.now() - timedelta(seconds=1)
    finish(db, planned[0], started_at=started_at)
    finish(db, planned[1], status="failed", http_status=None, duration_ms=7)
    runs = caller.get(f"/jobs/{job_id}/executions").json
    assert len(runs) == 5
    assert runs[0] == {
        "timestamp": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "status": 200,
        "duration": "120ms",
    }
    assert (runs[1]["status"], runs[1]["duration"]) == (None, "7ms")
    assert (runs[2]["status"], runs[2]["duration"]) == (None, None)


# What they share


@pytest.mark.parametrize(
    ("path", "body", "wrong"),
    [
        ("/api/jobs", {**WEATHER, "schedule": "61 8 * * *"}, "schedule"),
        ("/api/jobs", {**WEATHER, "schedule": 8}, "schedule"),
        ("/api/jobs", {**WEATHER, "schedule": "2020-01-01T00:00:00Z"}, "schedule"),
        ("/api/jobs", {**WEATHER, "schedule": None}, "schedule"),
        ("/api/jobs", {**WEATHER, "type": "COMMAND"}, "type"),
        ("/api/jobs", {**WEATHER, "enabled": "yes"}, "enabled"),
        ("/api/jobs", {**WEATHER, "enabled": True, "status": "paused"}, "enabled"),
        ("/api/jobs", {**WEATHER, "cron_expression": "0 8 * * *"}, "cron_expression"),
        ("/api/jobs", {**WEATHER, "payload": {"to": "nobody"}}, "payload.url"),
        ("/api/jobs", {"schedule": "0 8 * * *"}, "name"),
        ("/api/submitJob", {"scheduled_time": "tomorrow"}, "scheduled_time"),
        ("/api/submitJob", {"scheduled_time": "2020-01-01T00:00:00Z"}, "scheduled_time"),
        ("/api/submitJob", {"cron_expression": "@daily", "max_attempts": 0}, "max_attempts"),
        ("/api/submitJob", {"scheduled_time": "2031-01-01T00:00:00Z", "run_at": 1}, "run_at"),
        ("/api/submitJob", {"payload": []}, "payload"),
        ("/api/submitJob", {}, "schedule"),
        ("/jobs", {**POST, "schedule": "* * *"}, "schedule"),
        ("/jobs", {**POST, "api": "ftp://example.com"}, "api"),
        ("/jobs", {**POST, "api": 7}, "api"),
        ("/jobs", {**POST, "type": "EXACTLY_ONCE"}, "type"),
        ("/jobs", {**POST, "payload": {}}, "payload"),
        ("/jobs", {"schedule": POST["schedule"]}, "api"),
    ],
)
def test_an_error_names_the_field_as_the_caller_wrote_it(
    caller: Caller, path: str, body: dict[str, Any], wrong: str
) -> None:
    assert wrong in errors_of(caller.post(path, body))
    assert caller.get("jobs").json["total"] == 0


TRANSLATED = "name type payload schedule cron_expression scheduled_time schedule_type run_at"


@pytest.mark.parametrize("field", [*TRANSLATED.split(), "enabled", "status", "api", "api_key"])
def test_no_json_in_any_field_gets_a_500(caller: Caller, field: str) -> None:
    job_id = submit(caller, cron_expression="@daily")["job_id"]
    for value in (None, True, 7, "", "2031-x", "\ud800", [], {"url": []}):
        # Callers hold every answer against the OpenAPI document, which has no 500 in their sight.
        caller.post("/api/jobs", {**WEATHER, field: value})
        caller.post("/api/submitJob", {"cron_expression": "@daily", field: value})
        caller.post("/jobs", {**POST, field: value})
        caller.put(f"/api/jobs/{job_id}", {field: value})


def test_every_answer_names_the_route_to_use_instead(caller: Caller) -> None:
    made = caller.post("/api/jobs", WEATHER)
    assert made.headers["Link"] == '</api/v1/jobs>; rel="successor-version"'
    assert made.headers["Deprecation"].startswith("@")
    job_id = made.json["job_id"]
    runs = caller.get(f"/jobs/{job_id}/executions")
    expected = f'</api/v1/jobs/{job_id}/executions>; rel="successor-version"'
    assert runs.headers["Link"] == expected


def test_every_compatible_route_has_a_role_a_scope_a_limit_and_its_documentation(
    app: Flask,
) -> None:
    paths = document_of(app)["paths"]
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("compat_")]
    assert len(rules) == 10
    for rule in rules:
        declared = access.access_of(app.view_functions[rule.endpoint])
        assert declared.role
        assert declared.scope
        assert declared.key_parameter
        assert declared.rate is access.Rate.NORMAL
        (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        operation = paths[rule.rule.replace("<uuid:", "{").replace(">", "}")][method.lower()]
        assert {"401", "403", "429"} <= set(operation["responses"])
        assert operation["deprecated"]
        assert operation["summary"]

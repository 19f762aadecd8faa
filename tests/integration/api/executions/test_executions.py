"""Executions: list, read, logs, cancel, retry."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text

import factories
from chronos_common import clock, ids
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions import executions as storage
from chronos_common.storage.executions import skipped, undispatched
from chronos_common.storage.executions.executions import Move, Planned
from chronos_common.storage.executions.skipped import NotRun
from chronos_common.storage.tables import executions
from integration.api.callers import Caller

DUE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WORKER = ids.new_id(DUE)


def after(milliseconds: int) -> datetime:
    return DUE + timedelta(milliseconds=milliseconds)


@pytest.fixture
def job_id(caller: Caller) -> str:
    return str(caller.create(name="Report")["id"])


def planned(db: Engine, caller: Caller, job_id: str, due: datetime = DUE) -> UUID:
    """Queue an occurrence that was handed to the workers a second ahead."""
    each = Planned(
        id=ids.occurrence_id(UUID(job_id), due),
        workspace_id=caller.workspace_id,
        job_id=UUID(job_id),
        queue="webhooks",
        scheduled_for=due,
        dispatched_at=due - timedelta(seconds=1),
    )
    with db.begin() as connection:
        storage.add(connection, [each])
    return each.id


def attempted(
    db: Engine,
    execution_id: UUID,
    status: Status,
    *,
    started: int,
    http_status: int,
    error: str | None = None,
    retry: int | None = None,
) -> None:
    """Claim the execution and record an attempt, as a worker does."""
    with db.begin() as connection:
        undispatched.mark_dispatched(connection, [execution_id], now=after(started - 5))
        (claimed,) = factories.claim(
            connection, [execution_id], worker_id=WORKER, now=after(started)
        )
        attempt = {
            "number": claimed.attempt,
            "started_at": after(started).isoformat().replace("+00:00", "Z"),
            "duration_ms": 12,
            "status": status,
            "http_status": http_status,
            "worker": str(WORKER),
            "redeliveries": 0,
            "request": {"method": "POST", "url": "https://example.com/hook"},
            "response": {"status": http_status, "headers": {}, "body": "hello"},
            "timing_ms": {"dns": 1.0, "total": 12.0},
        }
        if error:
            attempt["error"] = error
        if retry:
            attempt["retry_at"] = after(retry).isoformat().replace("+00:00", "Z")
        move = Move(
            claimed=claimed,
            status=status,
            started_at=after(started),
            duration_ms=12,
            http_status=http_status,
            error=error,
            reason=None,
            due_at=after(retry) if retry else None,
            attempt_json=json.dumps(attempt),
        )
        assert storage.record(connection, [move], now=after(started + 20))


def test_an_execution_tells_how_it_went(caller: Caller, db: Engine, job_id: str) -> None:
    execution_id = planned(db, caller, job_id)
    attempted(db, execution_id, Status.SUCCEEDED, started=7, http_status=200)
    found = caller.get(f"executions/{execution_id}").json
    assert found["job_name"] == "Report"
    assert (found["status"], found["http_status"], found["attempt"]) == ("succeeded", 200, 1)
    assert found["scheduled_for"] == "2026-11-20T09:00:00.000Z"
    assert found["started_at"] == "2026-11-20T09:00:00.007Z"
    assert (found["drift_ms"], found["duration_ms"], found["max_attempts"]) == (7, 12, 4)
    assert (found["worker"], found["reason"]) == (str(WORKER), None)
    assert found["attempts"][0]["response"]["body"] == "hello"


def test_the_log_tells_what_happened_in_order(caller: Caller, db: Engine, job_id: str) -> None:
    execution_id = planned(db, caller, job_id)
    fault = "The target answered 500."
    attempted(
        db,
        execution_id,
        Status.RETRYING,
        started=10,
        http_status=500,
        error=fault,
        retry=60_000,
    )
    attempted(db, execution_id, Status.FAILED, started=60_010, http_status=500, error=fault)
    log = caller.get(f"executions/{execution_id}/logs").json
    assert log["total"] == len(log["items"])
    assert [(line["level"], line["attempt"], line["message"]) for line in log["items"]] == [
        ("info", None, "Due by the job's schedule"),
        ("info", 1, f"Attempt 1 started by worker {WORKER}"),
        ("warning", 1, f"Attempt 1 was answered 500 in 12 ms: {fault}"),
        ("info", 1, "Attempt 2 is due at 2026-11-20T09:01:00Z"),
        ("info", None, "Handed to the workers of queue 'webhooks'"),
        ("info", 2, f"Attempt 2 started by worker {WORKER}"),
        ("warning", 2, f"Attempt 2 was answered 500 in 12 ms: {fault}"),
        ("error", None, f"Failed: {fault}"),
    ]
    times = [line["at"] for line in log["items"]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("queue", "promise"),
    [
        ("webhooks", "Succeeded"),
        (
            "emails",
            (
                "Succeeded: the mail server has taken the e-mail for every recipient; Chronos "
                "does not see whether it is delivered"
            ),
        ),
        (
            "tasks",
            (
                "Succeeded: the broker has the task; Chronos does not see whether a worker "
                "performs it, nor how that ends"
            ),
        ),
    ],
)
def test_the_log_promises_no_more_than_chronos_knows(
    caller: Caller, db: Engine, job_id: str, queue: str, promise: str
) -> None:
    execution_id = planned(db, caller, job_id)
    attempted(db, execution_id, Status.SUCCEEDED, started=7, http_status=200)
    with db.begin() as connection:
        connection.execute(text("UPDATE executions SET queue = :queue"), {"queue": queue})
    log = caller.get(f"executions/{execution_id}/logs").json
    assert [line["message"] for line in log["items"] if line["message"].startswith("Succ")] == [
        promise
    ]


def test_what_did_not_run_says_why(caller: Caller, db: Engine, job_id: str) -> None:
    missed = NotRun(
        id=ids.occurrence_id(UUID(job_id), DUE),
        workspace_id=caller.workspace_id,
        job_id=UUID(job_id),
        queue="webhooks",
        scheduled_for=DUE,
        status=Status.SKIPPED,
        reason=Reason.MISFIRE,
        missed_count=120,
        missed_until=after(7_200_000),
    )
    with db.begin() as connection:
        skipped.add(connection, [missed], now=after(7_300_000))
    found = caller.get(f"executions/{missed.id}").json
    assert (found["status"], found["reason"], found["missed_count"]) == ("skipped", "misfire", 120)
    assert found["missed_until"] == "2026-11-20T11:00:00.000Z"
    assert found["started_at"] is found["drift_ms"] is None
    due, end = caller.get(f"executions/{missed.id}/logs").json["items"]
    assert "120 missed occurrences" in due["message"]
    assert end["message"].startswith("Skipped: it was missed")


def test_lists_are_latest_first_and_filtered(caller: Caller, db: Engine, job_id: str) -> None:
    other_job = caller.create()["id"]
    first = planned(db, caller, job_id, DUE)
    second = planned(db, caller, job_id, after(1000))
    third = planned(db, caller, other_job, after(2000))
    attempted(db, first, Status.SUCCEEDED, started=1, http_status=204)
    manual = UUID(caller.post(f"jobs/{other_job}/execute").json["id"])

    def ids_of(path: str) -> list[str]:
        return [each["id"] for each in caller.get(path).json["items"]]

    everything = [str(each) for each in (manual, third, second, first)]
    assert ids_of("executions") == everything
    assert ids_of("executions?status=succeeded") == [str(first)]
    assert ids_of("executions?trigger=manual") == [str(manual)]
    assert ids_of(f"executions?job_id={job_id}") == [str(second), str(first)]
    assert ids_of(f"jobs/{job_id}/executions?status=queued") == [str(second)]
    assert ids_of("executions?page=2&limit=3") == [str(first)]


def test_a_cursor_is_not_disturbed_by_what_comes_in(
    caller: Caller, db: Engine, job_id: str
) -> None:
    for number in range(5):
        planned(db, caller, job_id, after(number * 1000))
    page = caller.get(f"jobs/{job_id}/executions?limit=2").json
    seen = [each["id"] for each in page["items"]]
    while page["next_cursor"]:
        caller.post(f"jobs/{job_id}/execute")
        page = caller.get(f"jobs/{job_id}/executions?limit=2&cursor={page['next_cursor']}").json
        seen += [each["id"] for each in page["items"]]
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_an_unfinished_execution_can_be_cancelled_once(caller: Caller, job_id: str) -> None:
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    cancelled = caller.post(f"executions/{execution_id}/cancel").json
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled")
    again = caller.post(f"executions/{execution_id}/cancel")
    assert again.status_code == 409
    assert "cancelled already" in again.json["detail"]


def test_a_running_execution_can_be_cancelled(caller: Caller, db: Engine, job_id: str) -> None:
    execution_id = planned(db, caller, job_id)
    with db.begin() as connection:
        factories.claim(connection, [execution_id], worker_id=WORKER, now=clock.now())
    log = caller.get(f"executions/{execution_id}/logs").json["items"]
    assert log[-1]["message"] == f"Attempt 1 claimed by worker {WORKER}"
    assert caller.post(f"executions/{execution_id}/cancel").json["status"] == "cancelled"


def test_a_finished_execution_can_be_run_again(caller: Caller, db: Engine, job_id: str) -> None:
    execution_id = planned(db, caller, job_id)
    early = caller.post(f"executions/{execution_id}/retry")
    assert early.status_code == 409
    assert "still queued" in early.json["detail"]
    attempted(db, execution_id, Status.FAILED, started=1, http_status=500, error="x")
    answer = caller.post(f"executions/{execution_id}/retry")
    assert answer.status_code == 202
    again = answer.json
    assert answer.headers["Location"] == f"/api/v1/executions/{again['id']}"
    assert (again["trigger"], again["retry_of"]) == ("retry", str(execution_id))
    assert (again["status"], again["attempt"]) == ("queued", 1)
    log = caller.get(f"executions/{again['id']}/logs").json["items"]
    assert str(execution_id) in log[0]["message"]


def test_an_execution_of_a_deleted_job_does_not_run_again(
    caller: Caller, db: Engine, job_id: str
) -> None:
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    caller.delete(f"jobs/{job_id}")
    answer = caller.post(f"executions/{execution_id}/retry")
    assert answer.status_code == 409
    assert "deleted" in answer.json["detail"]
    with db.connect() as connection:
        query = select(executions).where(executions.c.job_id == job_id)
        assert len(connection.execute(query).all()) == 1

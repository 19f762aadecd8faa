"""Runs by hand that differ from their job: payload, note, instant, and a wait for the end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text, update

from chronos_api.jobs.definition.runs import merged
from chronos_common import clock, ids
from chronos_common.storage.tables import executions
from integration.api.callers import Caller, errors_of
from rigs import wait_until

PAYLOAD = {
    "url": "https://example.com/hook",
    "headers": {"Authorization": "Bearer hush", "X-Team": "mail"},
    "body": {"template": "weekly", "to": {"list": [1, 2], "kind": "all"}},
}


@pytest.fixture
def job_id(caller: Caller) -> str:
    return str(caller.create(payload=PAYLOAD)["id"])


def stored(db: Engine, execution_id: str) -> Any:
    with db.connect() as connection:
        query = select(executions).where(executions.c.id == execution_id)
        return connection.execute(query).mappings().one()


def test_a_run_has_a_payload_of_its_own(caller: Caller, db: Engine, job_id: str) -> None:
    patch = {"headers": {"X-Team": None}, "body": {"template": "right", "to": {"list": [3]}}}
    body = {"payload_patch": patch, "note": " After the fix "}
    made = caller.post(f"jobs/{job_id}/execute", body)
    assert (made.status_code, made.json["note"]) == (202, "After the fix")
    expected = {
        "url": "https://example.com/hook",
        "headers": {"Authorization": "Bearer hush"},
        "body": {"template": "right", "to": {"list": [3], "kind": "all"}},
    }
    assert stored(db, made.json["id"])["payload"] == expected
    shown = caller.get(f"executions/{made.json['id']}").json["payload"]
    assert shown == {**expected, "headers": {"Authorization": "[redacted]"}}
    log = caller.get(f"executions/{made.json['id']}/logs").json["items"][0]["message"]
    assert log == "Triggered by hand, with a payload of its own: After the fix"
    [entry] = caller.get("audit?action=job.execute").json["items"]
    assert entry["details"]["note"] == "After the fix"
    assert entry["details"]["edited_payload"] is True
    plain = caller.post(f"jobs/{job_id}/execute").json
    assert stored(db, plain["id"])["payload"] is None
    assert caller.get(f"executions/{plain['id']}").json["payload"] is None
    assert caller.get(f"jobs/{job_id}").json["payload"]["body"] == PAYLOAD["body"]


def test_a_retry_has_a_payload_of_its_own(caller: Caller, db: Engine, job_id: str) -> None:
    first = caller.post(f"jobs/{job_id}/execute").json["id"]
    caller.post(f"executions/{first}/cancel")
    body = {"payload_patch": {"body": None}, "delay_seconds": 600}
    made = caller.post(f"executions/{first}/retry", body)
    assert (made.status_code, made.json["retry_of"]) == (202, first)
    row = stored(db, made.json["id"])
    assert "body" not in row["payload"]
    assert row["due_at"] == row["scheduled_for"]
    assert row["due_at"] - clock.now() > timedelta(seconds=590)


def test_secrets_do_not_go_to_another_server(caller: Caller, job_id: str) -> None:
    path = f"jobs/{job_id}/execute"
    elsewhere = {"url": "https://evil.example.com/"}
    wrong = errors_of(caller.post(path, {"payload_patch": elsewhere}))
    assert wrong.keys() == {"payload_patch.headers.Authorization"}
    without = {**elsewhere, "headers": {"Authorization": None}}
    assert caller.post(path, {"payload_patch": without}).status_code == 202


def test_a_wrong_run_is_refused(caller: Caller, db: Engine, job_id: str) -> None:
    path = f"jobs/{job_id}/execute"
    wrong = errors_of(caller.post(path, {"payload_patch": {"method": "EAT", "colour": 1}}))
    assert wrong.keys() == {"payload_patch.colour", "payload_patch.method"}
    far = clock.rfc3339(clock.now() + timedelta(days=31))
    assert "run_at" in errors_of(caller.post(path, {"run_at": far}))
    both = {"run_at": clock.rfc3339(clock.now()), "delay_seconds": 5}
    assert "delay_seconds" in errors_of(caller.post(path, both))
    assert "wait_seconds" in errors_of(caller.post(path, {"wait_seconds": 31}))
    with db.connect() as connection:
        query = text("SELECT count(*) FROM executions WHERE job_id = :job_id")
        assert connection.execute(query, {"job_id": job_id}).scalar_one() == 0


def test_an_answer_waits_for_the_end(caller: Caller, db: Engine, job_id: str) -> None:
    path = f"jobs/{job_id}/execute"
    assert caller.post(path, {"wait_seconds": 0.1}).status_code == 202

    def newest() -> UUID | None:
        with db.connect() as connection:
            query = select(executions.c.id).where(
                executions.c.job_id == job_id, executions.c.note == "Wait"
            )
            return connection.execute(query).scalar_one_or_none()

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(caller.post, path, {"wait_seconds": 30, "note": "Wait"})
        wait_until(lambda: newest() is not None)
        with db.begin() as connection:
            ended = {"status": "succeeded", "started_at": clock.now(), "finished_at": clock.now()}
            where = executions.c.id == newest()
            connection.execute(update(executions).where(where).values(ended))
        answer = waiting.result(timeout=30)
    assert (answer.status_code, answer.json["status"]) == (200, "succeeded")
    assert answer.headers["Location"].endswith(answer.json["id"])


def test_an_instant_that_has_just_passed_is_now(caller: Caller, job_id: str) -> None:
    at = clock.rfc3339(clock.now() - timedelta(seconds=2))
    made = caller.post(f"jobs/{job_id}/execute", {"run_at": at}).json
    assert datetime.fromisoformat(made["due_at"]) >= ids.moment_of(UUID(made["id"]))


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result

"""Test runs: what a worker performs while the caller waits."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from ipaddress import ip_network
from pathlib import Path
from threading import Event, Thread

import pytest
from redis import Redis
from sqlalchemy import Engine, func, select
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

import specimens
import targets
from chronos_api.adhoc_runs import service
from chronos_common import clock, ids
from chronos_common.domain import queues
from chronos_common.domain.outcomes import Failed
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage import adhoc_runs as storage
from chronos_common.storage.adhoc_runs import TestRun
from chronos_common.storage.tables import test_runs
from chronos_worker import adhoc_runs as runs
from chronos_worker.adhoc_runs import AdhocRunner
from chronos_worker.transfers.limiter import Limits
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, errors_of
from rigs import wait_until
from targets import Target

LOOPBACK = (ip_network("127.0.0.0/8"),)


@contextmanager
def worker(db: Engine, redis_url: str, **changes: object) -> Iterator[AdhocRunner]:
    """A worker that takes test runs from their queue, as Celery would hand them over."""
    settings = settings_for(db.url.render_as_string(hide_password=False), redis_url)
    runner = AdhocRunner(db, replace(settings, egress_allow=LOOPBACK, **changes))
    runner.start()
    stop = Event()

    def consume() -> None:
        with Redis.from_url(redis_url) as client:
            while not stop.is_set():
                found = client.brpop([queues.TESTS], timeout=1)
                if found:
                    (packed, _), *_ = json.loads(base64.b64decode(json.loads(found[1])["body"]))
                    runner.run(ids.unpack(packed), clock.now())

    thread = Thread(target=consume)
    thread.start()
    try:
        yield runner
    finally:
        stop.set()
        thread.join(10)
        runner.stop()


@pytest.fixture
def running(db: Engine, servers: Servers, tmp_path: Path) -> Iterator[AdhocRunner]:
    with worker(db, servers.redis_url, mail_dir=tmp_path) as runner:
        yield runner


def left_over(db: Engine, caller: Caller) -> int:
    query = select(func.count()).where(test_runs.c.workspace_id == caller.workspace_id)
    with db.connect() as connection:
        return int(connection.execute(query).scalar_one())


@pytest.mark.usefixtures("running")
def test_a_webhook_is_tried_out_signed_and_marked(
    caller: Caller, target: Target, db: Engine
) -> None:
    target.answer = targets.reply(418, b'{"short": true}')
    payload = {
        "url": f"{target.url}/tea",
        "headers": {"Authorization": "Bearer hidden"},
        "body": {"a": 1},
    }
    answer = caller.post("jobs/test", {"payload": payload})
    assert answer.status_code == 200
    result = answer.json
    assert (result["status"], result["http_status"]) == ("failed", 418)
    assert result["response"]["body"] == '{"short": true}'
    assert result["request"]["headers"]["Authorization"] == "[redacted]"
    assert {"dns", "connect", "first_byte", "total"} <= result["timing_ms"].keys()
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", result["started_at"])
    (received,) = target.received
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert headers["x-chronos-test"] == "true"
    assert headers["webhook-id"] == result["id"]
    assert headers["authorization"] == "Bearer hidden"
    assert Webhook("whsec_dGVzdA==").verify(received.body, headers) == {"a": 1}
    assert left_over(db, caller) == 0
    assert caller.get("jobs").json["total"] == caller.get("executions").json["total"] == 0


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("grace_hours", "fits"), [(2, True), (0, False)])
def test_while_a_signing_secret_is_exchanged_both_verify_a_test_run(
    caller: Caller, target: Target, grace_hours: int, *, fits: bool
) -> None:
    rotated = caller.post("workspace/signing-secret/rotate", {"grace_hours": grace_hours}).json
    payload = {"url": target.url, "body": {"a": 1}}
    assert caller.post("jobs/test", {"payload": payload}).status_code == 200
    (received,) = target.received
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert Webhook(rotated["signing_secret"]).verify(received.body, headers) == {"a": 1}
    old = Webhook("whsec_dGVzdA==")
    with nullcontext() if fits else pytest.raises(WebhookVerificationError):
        old.verify(received.body, headers)


@pytest.mark.usefixtures("running")
def test_a_target_that_does_not_answer_fails_the_run_in_time(
    caller: Caller, target: Target
) -> None:
    target.answer = targets.hang
    body = {"payload": {"url": target.url}, "timeout_seconds": 0.3}
    result = caller.post("jobs/test", body).json
    assert (result["status"], result["http_status"], result["response"]) == ("failed", None, None)
    assert result["error"]


@pytest.mark.usefixtures("running")
def test_an_address_that_is_not_allowed_is_not_reached(caller: Caller) -> None:
    result = caller.post("jobs/test", {"payload": {"url": "http://169.254.169.254/x"}}).json
    assert (result["status"], result["http_status"]) == ("failed", None)
    assert "CHRONOS_EGRESS_ALLOW" in result["error"]


@pytest.mark.usefixtures("running")
def test_an_email_is_tried_out_and_marked(caller: Caller, tmp_path: Path) -> None:
    payload = {"to": "user@example.com", "subject": "Report", "body": "All is well."}
    result = caller.post("jobs/test", {"type": "email", "payload": payload}).json
    assert (result["status"], result["request"]["subject"]) == ("succeeded", "Report")
    (path,) = tmp_path.glob("*.eml")
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message["X-Chronos-Test"] == "true"


@pytest.mark.usefixtures("running")
def test_a_celery_task_is_tried_out_and_marked(caller: Caller, servers: Servers) -> None:
    queue = f"of-{caller.workspace_id.hex}"
    payload = {"task": "reports.build", "queue": queue}
    result = caller.post("jobs/test", {"type": "celery_task", "payload": payload}).json
    assert (result["status"], result["error"]) == ("succeeded", None)
    with Redis.from_url(servers.redis_url) as client:
        message = json.loads(client.lpop(queue))
    assert message["headers"]["chronos_test"] == "true"
    assert message["headers"]["id"] == result["id"]


def test_without_a_worker_it_is_a_504_and_nothing_runs_later(
    caller: Caller, db: Engine, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.run, "__kwdefaults__", {"grace": timedelta(0)})
    body = {"payload": {"url": "http://127.0.0.1:9/"}, "timeout_seconds": 0.1}
    answer = caller.post("jobs/test", body)
    assert (answer.status_code, answer.json["type"]) == (504, "/docs#problem-no-answer")
    assert left_over(db, caller) == 0
    with Redis.from_url(servers.redis_url) as client:
        client.delete(queues.TESTS)


def test_what_has_expired_is_not_performed_and_goes_away(
    caller: Caller, db: Engine, target: Target, running: AdhocRunner
) -> None:
    now = clock.now()
    run = TestRun(ids.new_id(now), caller.workspace_id, "webhook", {"url": target.url}, 5)
    with db.begin() as connection:
        storage.add(connection, run, now=now, expires_at=now - timedelta(seconds=1))
    running.run([run.id], now)
    assert target.received == []
    with db.begin() as connection:
        storage.prune(connection, now=now + storage.KEPT)
    assert left_over(db, caller) == 0


def test_a_type_that_the_worker_does_not_know_fails_the_run_and_is_named(
    caller: Caller, db: Engine, running: AdhocRunner
) -> None:
    now = clock.now()
    run = TestRun(ids.new_id(now), caller.workspace_id, "fax", {"number": 1}, 5)
    with db.begin() as connection:
        storage.add(connection, run, now=now, expires_at=now + timedelta(minutes=1))
    running.run([run.id], now)
    with db.begin() as connection:
        result = storage.take_result(connection, run.id)
    assert result is not None
    assert result["status"] == "failed"
    assert "'fax' is not known here; it must be one of webhook," in result["error"]


def test_a_stopped_worker_tells_whoever_waits(
    caller: Caller, db: Engine, servers: Servers, target: Target
) -> None:
    target.answer = targets.hang
    with worker(db, servers.redis_url) as runner:

        def stop_once_it_hangs() -> None:
            wait_until(lambda: bool(target.received))
            runner.stop()

        stopping = Thread(target=stop_once_it_hangs)
        stopping.start()
        result = caller.post("jobs/test", {"payload": {"url": target.url}}).json
        stopping.join(10)
    assert "The worker was stopped" in result["error"]


def test_a_run_that_gets_no_turn_never_leaves_and_says_why(
    db: Engine, servers: Servers, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LIMITS", Limits(1, 1))
    monkeypatch.setattr(runs, "_MARGIN_SECONDS", 0.1)
    target.answer = targets.hang
    with worker(db, servers.redis_url) as runner, capture_logs() as logs:
        first = specimens.job({"url": f"{target.url}/first"}, timeout_seconds=30)
        holder = Thread(target=runner._outcome, args=(first,))
        holder.start()
        wait_until(lambda: bool(target.received))
        second = specimens.job({"url": f"{target.url}/second"}, timeout_seconds=0.3)
        outcome, _ = runner._outcome(second)
        runner.stop()
        holder.join(10)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("It could not be performed: Other test runs keep this host")
    assert target.paths() == ["/first"]
    assert logs == []


def test_a_run_whose_turn_comes_too_late_does_not_start(
    db: Engine, servers: Servers, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LONGEST_WAIT_SECONDS", 0)
    monkeypatch.setattr(runs, "_MARGIN_SECONDS", 0.1)
    with worker(db, servers.redis_url) as runner:
        outcome, _ = runner._outcome(specimens.job({"url": target.url}, timeout_seconds=0.3))
    assert isinstance(outcome, Failed)
    assert target.received == []


def test_so_many_at_once_and_no_more(caller: Caller) -> None:
    for _ in range(service.MAX_AT_ONCE):
        assert service._permits.acquire(blocking=False)
    try:
        answer = caller.post("jobs/test", {"payload": {"url": "http://127.0.0.1:9/"}})
        assert answer.status_code == 503
        assert "test runs are under way" in answer.json["detail"]
    finally:
        for _ in range(service.MAX_AT_ONCE):
            with suppress(ValueError):
                service._permits.release()


@pytest.mark.usefixtures("running")
def test_a_saved_job_is_tried_out_with_its_secrets_at_its_own_server_alone(
    caller: Caller, stranger: Caller, target: Target
) -> None:
    headers = {"Authorization": "Bearer hidden"}
    job = caller.create(payload={"url": f"{target.url}/tea", "headers": headers})
    assert job["payload"]["headers"] == {"Authorization": "[redacted]"}
    again = {"job_id": job["id"], "payload": job["payload"] | {"url": f"{target.url}/milk"}}
    assert caller.post("jobs/test", again).json["status"] == "succeeded"
    (received,) = target.received
    sent = {name.lower(): value for name, value in received.headers.items()}
    assert sent["authorization"] == "Bearer hidden"
    elsewhere = again | {"payload": job["payload"] | {"url": "http://127.0.0.1:9/"}}
    refused = errors_of(caller.post("jobs/test", elsewhere))
    assert "another server" in refused["payload.headers.Authorization"]
    assert stranger.post("jobs/test", again).status_code == 404
    assert len(target.received) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "payload"),
        ({"payload": {"url": "nowhere"}}, "payload.url"),
        ({"payload": {"headers": {}}}, "payload.url"),
        ({"type": "email", "payload": {"to": []}}, "payload.to"),
        ({"payload": {"url": "http://a.example"}, "timeout_seconds": 31}, "timeout_seconds"),
        ({"payload": {"url": "http://a.example"}, "name": "x"}, "name"),
    ],
)
def test_a_wrong_payload_is_named(caller: Caller, body: dict[str, object], field: str) -> None:
    assert field in errors_of(caller.post("jobs/test", body))


def test_a_viewer_tries_nothing_out(caller: Caller, db: Engine) -> None:
    viewer = caller.me_in("viewer", db)
    assert viewer.post("jobs/test", {"payload": {"url": "http://a.example"}}).status_code == 403

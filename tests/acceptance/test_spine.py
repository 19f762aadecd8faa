"""A scheduled webhook runs, end to end: the API, a scheduler, a worker, a target, the history."""

import re
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock

import pytest
from standardwebhooks import Webhook

import wires
from acceptance.cluster import EMAIL, Cluster, running
from acceptance.inbox import Inbox
from rigs import wait_until
from targets import Received, Target, by_path, hang, reply

pytestmark = pytest.mark.xdist_group("acceptance")

NO_ANSWER = "The target closed the connection without an answer."
TRY_OFTEN = {"max_attempts": 3, "retry_delays": [0.2]}


def _once(target: Target, path: str = "/", *, seconds_ahead: float = 1) -> dict[str, object]:
    run_at = datetime.now(UTC) + timedelta(seconds=seconds_ahead)  # noqa: TID251 - the user's clock
    return {
        "name": f"Once {path}",
        "payload": {"url": target.url + path},
        "schedule_type": "once",
        "run_at": run_at.isoformat(),
    }


def _finished(count=1):
    return lambda found: sum(each["finished_at"] is not None for each in found) >= count


def test_every_second_is_one_execution_and_one_signed_request(
    cluster: Cluster, target: Target
) -> None:
    job_id = cluster.create(
        name="Every second",
        payload={"url": target.url, "body": {"hello": "world"}},
        schedule_type="interval",
        interval_seconds=1,
        max_runs=8,
    )
    found = cluster.wait_for(job_id, _finished(8), within=30)
    instants = [datetime.fromisoformat(each["scheduled_for"]) for each in found]
    assert [b - a for a, b in pairwise(instants)] == [timedelta(seconds=1)] * 7
    assert {each["status"] for each in found} == {"succeeded"}
    assert [each.headers["webhook-id"] for each in target.received] == [
        each["id"] for each in found
    ]
    secret = cluster.call("GET", "/api/v1/auth/me")["workspace"]["signing_secret"]
    for received in target.received:
        Webhook(secret).verify(received.body, received.headers)
        assert received.headers["x-chronos-job-id"] == job_id
        assert received.headers["x-chronos-attempt"] == "1"
    wait_until(
        lambda: cluster.call("GET", f"/api/v1/jobs/{job_id}")["status"] == "completed", within=10
    )


def test_a_job_of_another_scheduler_runs_and_answers_as_its_document_says(
    cluster: Cluster, target: Target
) -> None:
    body = {"schedule": "* * * * * *", "api": target.url, "type": "ATLEAST_ONCE"}
    made = cluster.call("POST", "/jobs", body, expect=201)
    path = f"/jobs/{made['jobId']}/executions"
    wait_until(
        lambda: sum(run["status"] == 200 for run in cluster.call("GET", path)) >= 2, within=30
    )
    run = next(run for run in cluster.call("GET", path) if run["status"] == 200)
    assert re.fullmatch(r"\d+ms", run["duration"])
    assert datetime.fromisoformat(run["timestamp"]).tzinfo == UTC
    assert cluster.call("DELETE", f"/api/jobs/{made['jobId']}")["status"] == "cancelled"
    assert {(each.method, each.body) for each in target.received} == {("POST", b"")}


def test_a_payload_without_a_url_goes_to_the_default_webhook_of_the_moment(
    cluster: Cluster, target: Target
) -> None:
    def default_is(path: str) -> None:
        change = {"default_webhook_url": target.url + path}
        cluster.call("PATCH", "/api/v1/workspace", change)

    default_is("/before")
    job_id = cluster.create(
        name="Weekly Newsletter",
        description="Send newsletter every Monday",
        job_type="recurring",
        schedule_type="cron",
        cron_expression="0 9 * * 1",
        payload={"template": "weekly_digest"},
    )
    for path in ("/before", "/after"):
        default_is(path)
        cluster.call("POST", f"/api/jobs/{job_id}/run", expect=202)
        wait_until(lambda path=path: path in {each.path for each in target.received}, within=30)
    assert [each.path for each in target.received] == ["/before", "/after"]
    assert {each.body for each in target.received} == {b'{"template":"weekly_digest"}'}
    assert {each.headers["content-type"] for each in target.received} == {"application/json"}


def test_a_target_that_recovers_ends_succeeded_with_every_attempt_in_its_log(
    cluster: Cluster, target: Target
) -> None:
    answers = iter([500, 500, 200])
    lock = Lock()

    def answer(of: Target, received: Received, stream: socket.socket) -> None:
        with lock:
            status = next(answers)
        reply(status)(of, received, stream)

    target.answer = answer
    job_id = cluster.create(**_once(target), **TRY_OFTEN)
    [execution] = cluster.wait_for(job_id, _finished())
    assert (execution["status"], execution["attempt"]) == ("succeeded", 3)
    detail = cluster.call("GET", f"/api/v1/executions/{execution['id']}")
    assert [each["http_status"] for each in detail["attempts"]] == [500, 500, 200]
    assert {each.headers["webhook-id"] for each in target.received} == {execution["id"]}
    assert [each.headers["x-chronos-attempt"] for each in target.received] == ["1", "2", "3"]


def test_a_final_failure_is_told_by_email(cluster: Cluster, target: Target, inbox: Inbox) -> None:
    target.answer = reply(503)
    job_id = cluster.create(**_once(target), **TRY_OFTEN)
    [execution] = cluster.wait_for(job_id, _finished())
    assert (execution["status"], execution["attempt"]) == ("failed", 3)
    assert "503" in execution["error"]
    wait_until(lambda: bool(inbox.to(EMAIL, about="Once /")), within=15)
    [message] = inbox.to(EMAIL, about="Once /")
    text = message.get_content()
    assert "503" in text
    assert f"{cluster.api_url}/api/v1/executions/{execution['id']}" in text


def test_an_email_job_arrives(cluster: Cluster, target: Target, inbox: Inbox) -> None:
    job = _once(target) | {
        "type": "email",
        "payload": {"to": "reader@example.com", "subject": "Report", "body": "All is well."},
    }
    job_id = cluster.create(**job)
    [execution] = cluster.wait_for(job_id, _finished())
    assert execution["status"] == "succeeded", execution
    assert execution["drift_ms"] >= 0
    [message] = inbox.to("reader@example.com")
    assert (message["Subject"], message.get_content().strip()) == ("Report", "All is well.")


def test_a_payload_is_tried_out_without_a_job(cluster: Cluster, target: Target) -> None:
    body = {"payload": {"url": target.url, "body": {"template": "weekly_digest"}}}
    result = cluster.call("POST", "/api/v1/jobs/test", body)
    assert (result["status"], result["http_status"]) == ("succeeded", 200)
    assert result["timing_ms"]["total"] >= 0
    [received] = target.received
    assert received.headers["x-chronos-test"] == "true"


def test_a_connection_that_dies_under_a_request_is_one_failed_attempt(cluster: Cluster) -> None:
    """libcurl would send the request of a kept connection once more, by itself."""
    with wires.running("close", answered=2) as wire:
        job_id = cluster.create(
            name="One attempt",
            payload={"url": wire.url, "body": "x"},
            schedule_type="interval",
            interval_seconds=86_400,
            max_attempts=1,
        )
        # On a slow machine a connection may have been idle for too long to be used again.
        for count in range(1, 30):
            cluster.call("POST", f"/api/v1/jobs/{job_id}/execute", expect=202)
            found = cluster.wait_for(job_id, _finished(count))
            if found[-1]["status"] == "failed":
                break
        assert [each["status"] for each in found] == ["succeeded"] * (count - 1) + ["failed"]
        assert wire.requests == {(each["id"], 1): 1 for each in found}
        detail = cluster.call("GET", f"/api/v1/executions/{found[-1]['id']}")
        assert [each["error"] for each in detail["attempts"]] == [NO_ANSWER]


def test_so_it_is_in_a_test_run(cluster: Cluster) -> None:
    with wires.running("close", answered=2) as wire:
        body = {"payload": {"url": wire.url}}
        results = [cluster.call("POST", "/api/v1/jobs/test", body)]
        while results[-1]["status"] == "succeeded" and len(results) < 30:
            results.append(cluster.call("POST", "/api/v1/jobs/test", body))
        assert results[-1]["error"] == NO_ANSWER
        assert list(wire.requests.values()) == [1] * len(results)


def test_pause_resume_run_now_and_cancel(cluster: Cluster, target: Target) -> None:
    job_id = cluster.create(
        name="Often",
        payload={"url": target.url},
        schedule_type="interval",
        interval_seconds=1,
    )
    cluster.wait_for(job_id, _finished(2))
    cluster.call("POST", f"/api/v1/jobs/{job_id}/pause")
    # What was running when the pause came may still end; nothing else may begin.
    cluster.wait_for(job_id, lambda found: all(each["finished_at"] for each in found))
    seen = len(target.received)
    paused = cluster.executions(job_id)
    cluster.call("POST", f"/api/v1/jobs/{job_id}/execute", expect=202)
    found = cluster.wait_for(job_id, _finished(len(paused) + 1))
    assert [each["trigger"] for each in found if each not in paused] == ["manual"]
    assert len(target.received) == seen + 1
    cluster.call("POST", f"/api/v1/jobs/{job_id}/resume")
    cluster.wait_for(job_id, _finished(len(found) + 2))
    cluster.call("DELETE", f"/api/v1/jobs/{job_id}", expect=204)
    cluster.call("GET", f"/api/v1/jobs/{job_id}", expect=404)


def test_cancelling_a_running_execution_aborts_its_request(
    cluster: Cluster, target: Target
) -> None:
    gone = Event()

    def answer(_target: Target, _received: Received, stream: socket.socket) -> None:
        if not stream.recv(1):
            gone.set()

    target.answer = answer
    job_id = cluster.create(**_once(target), timeout_seconds=60)
    [execution] = cluster.wait_for(job_id, lambda _: bool(target.received))
    cluster.call("POST", f"/api/v1/executions/{execution['id']}/cancel")
    [execution] = cluster.executions(job_id)
    assert (execution["status"], execution["reason"]) == ("cancelled", "cancelled")
    assert gone.wait(15)


def test_an_address_that_the_operator_did_not_allow_is_not_reached(
    tmp_path: Path, database_url: str, redis_url: str, target: Target
) -> None:
    port = target.port
    urls = [
        "http://169.254.169.254/latest/meta-data/",
        f"http://127.0.0.1:{port}/",
        f"http://0x7f000001:{port}/",
        f"http://[::ffff:127.0.0.1]:{port}/",
        f"http://localhost:{port}/",
    ]
    with running(
        tmp_path, database_url=database_url, redis_url=redis_url, EGRESS_ALLOW="192.0.2.0/24"
    ) as cluster:
        created = [cluster.create(**_once(target) | {"payload": {"url": url}}) for url in urls]
        for job_id in created:
            [execution] = cluster.wait_for(job_id, _finished())
            assert (execution["status"], execution["attempt"]) == ("failed", 1)
            assert "CHRONOS_EGRESS_ALLOW" in execution["error"]
    assert target.connections == 0


def test_side_by_side_nothing_is_missed_or_doubled(
    tmp_path: Path, database_url: str, redis_url: str, target: Target
) -> None:
    runs, jobs = 8, 60
    with running(
        tmp_path, database_url=database_url, redis_url=redis_url, schedulers=2, workers=2
    ) as cluster:
        created = [
            cluster.create(
                name=f"Job {n}",
                payload={"url": target.url},
                schedule_type="interval",
                interval_seconds=1,
                max_runs=runs,
            )
            for n in range(jobs)
        ]
        for job_id in created:
            found = cluster.wait_for(job_id, _finished(runs), within=60)
            instants = [datetime.fromisoformat(each["scheduled_for"]) for each in found]
            assert instants == [instants[0] + timedelta(seconds=n) for n in range(runs)]
            assert {each["status"] for each in found} == {"succeeded"}
    requests = Counter(each.headers["webhook-id"] for each in target.received)
    assert len(requests) == runs * jobs
    assert set(requests.values()) == {1}


def test_a_worker_that_is_killed_loses_nothing(
    tmp_path: Path, database_url: str, redis_url: str, target: Target
) -> None:
    target.answer = by_path({"/": reply(), "/hang": hang})
    with running(
        tmp_path,
        database_url=database_url,
        redis_url=redis_url,
        workers=1,
        WORKER_TIMEOUT_SECONDS="3",
    ) as cluster:
        job_id = cluster.create(**_once(target, "/hang"), timeout_seconds=60)
        [execution] = cluster.wait_for(job_id, lambda _: bool(target.received))
        cluster.processes[-1].kill()
        target.answer = reply()
        cluster.start("worker")
        [execution] = cluster.wait_for(job_id, _finished())
    assert (execution["status"], execution["attempt"]) == ("succeeded", 1)
    assert [each.headers["webhook-id"] for each in target.received] == [execution["id"]] * 2

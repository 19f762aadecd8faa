"""Celery tasks through a real Valkey, down to a worker of the user's own application."""

import json
import time
from collections.abc import Iterator
from threading import Event
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from kombu import Connection
from redis import Redis

import specimens
from chronos_common.broker import Broker, connect_redis
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import CeleryTask
from chronos_common.domain.payloads.celery_task import TaskRules
from chronos_common.errors import Invalid
from chronos_worker.actions import celery_task
from chronos_worker.actions.celery_task import TaskPublisher
from chronos_worker.attempts import Deadline
from rigs import wait_until
from targets import Target, hang

ALL = TaskRules(has_broker=True, names=["*"], queues=["*"])


def made(url: str, *, rules: TaskRules = ALL, longest_queue: int = 1000) -> TaskPublisher:
    return TaskPublisher(url, rules=rules, longest_queue=longest_queue)


@pytest.fixture
def publisher(redis_url: str) -> Iterator[TaskPublisher]:
    publisher = made(redis_url)
    yield publisher
    publisher.close()


def _perform(
    publisher: TaskPublisher, *, timeout_seconds: float = 20, **payload: Any
) -> tuple[Outcome, Attempt]:
    payload = {"task": "shop.tasks.report", **payload}
    job = specimens.job(payload, "celery_task", timeout_seconds=timeout_seconds)
    return celery_task.perform(specimens.claimed(job), job, publisher=publisher)


def test_a_task_is_performed_by_the_users_own_worker(
    redis_url: str, publisher: TaskPublisher
) -> None:
    shop = Celery("shop", broker=redis_url, set_as_current=False)
    shop.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
    seen: list[Any] = []

    @shop.task(name="shop.tasks.report", bind=True)  # type: ignore[untyped-decorator]
    def report(self: Any, *args: Any, **kwargs: Any) -> None:
        seen.append((self.request.id, args, kwargs, self.request.headers))

    job = specimens.job(
        {"task": "shop.tasks.report", "args": [1, "ü"], "kwargs": {"deep": [True, None]}},
        "celery_task",
    )
    execution = specimens.claimed(job, attempt=2)
    with start_worker(shop, perform_ping_check=False, pool="solo", queues=["celery"]):
        outcome, attempt = celery_task.perform(execution, job, publisher=publisher)
        wait_until(lambda: bool(seen))
    assert outcome == Succeeded()
    ((task_id, args, kwargs, headers),) = seen
    assert (task_id, args, kwargs) == (str(execution.id), (1, "ü"), {"deep": [True, None]})
    assert headers["chronos_job_id"] == str(job.id)
    assert headers["chronos_attempt"] == "2"
    assert headers["chronos_scheduled_for"] == "2026-03-01T12:00:00.250Z"
    assert attempt.request == {
        "task": "shop.tasks.report",
        "queue": "celery",
        "task_id": str(execution.id),
    }


def test_the_message_is_json_in_the_queue_that_was_named(
    redis_url: str, publisher: TaskPublisher
) -> None:
    assert _perform(publisher, queue="reports.daily", args=[1])[0] == Succeeded()
    with Connection(redis_url) as connection:
        message = connection.SimpleQueue("reports.daily").get(timeout=5)
        message.ack()
    assert message.content_type == "application/json"
    assert message.payload[0] == [1]
    assert message.headers["task"] == "shop.tasks.report"
    with Redis.from_url(redis_url) as client:
        assert client.llen("celery") == 0


def test_connections_are_used_again_and_bounded(redis_url: str, publisher: TaskPublisher) -> None:
    for _ in range(20):
        assert _perform(publisher)[0] == Succeeded()
    with Redis.from_url(redis_url) as client:
        waiting = client.lrange("celery", 0, -1)
    assert isinstance(waiting, list)
    assert len({json.loads(each)["headers"]["id"] for each in waiting}) == 20


def test_what_other_connections_of_the_process_do_keeps_no_task_back(redis_url: str) -> None:
    with Celery("another", broker=redis_url, set_as_current=False) as another:
        another.conf.broker_pool_limit = 10
        with another.pool.acquire():
            publisher = made(redis_url)
            assert _perform(publisher)[0] == Succeeded()
            publisher.close()


def test_what_waits_for_a_connection_ends_at_the_jobs_timeout(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_task, "_CONNECTIONS", 1)
    publisher = made(redis_url)
    over = Event()
    monkeypatch.setattr(publisher._app, "send_task", lambda *_, **__: over.wait(30))
    first, _ = _perform(publisher, timeout_seconds=0.2)
    second, _ = _perform(publisher, timeout_seconds=0.2)
    over.set()
    assert first == Failed(
        "The broker did not confirm that it has the task, and may have it; time ran out after "
        "0.2 s."
    )
    assert second == Failed("All 1 connections to the broker were busy; time ran out after 0.2 s.")
    monkeypatch.undo()
    assert _perform(publisher)[0] == Succeeded()
    publisher.close()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_left_at_the_jobs_timeout(scheme: str) -> None:
    silent = Target()
    silent.answer = hang
    silent.start()
    try:
        publisher = made(f"{scheme}://127.0.0.1:{silent.port}/0")
        started = time.monotonic()
        outcome, attempt = _perform(publisher, timeout_seconds=0.5)
        assert time.monotonic() - started < celery_task._WAIT_SECONDS / 2
        assert attempt.duration_ms >= 500
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert "time ran out after 0.5 s" in outcome.error
    finally:
        silent.close()
        publisher.close()


def test_the_login_at_a_broker_may_be_in_every_script(redis_url: str) -> None:
    user, password = "büro", "pä ß@:/?#%日本"
    with Redis.from_url(redis_url) as client:
        client.acl_setuser(
            user, enabled=True, passwords=[f"+{password}"], keys=["*"], channels=["*"],
            commands=["+@all"],
        )  # fmt: skip
    place = redis_url.rpartition("@")[2]
    url = f"redis://{quote(user, safe='')}:{quote(password, safe='')}@{place}"
    publisher = made(url)
    broker = Broker(url)
    try:
        assert _perform(publisher, queue="reports")[0] == Succeeded()
        assert broker.depths()["webhooks"] == 0
        with connect_redis(url) as client:
            assert client.llen("reports") == 1
    finally:
        publisher.close()
        broker.close()
        with Redis.from_url(redis_url) as client:
            client.acl_deluser(user)


def test_a_task_is_the_root_of_its_own_tree_and_nobodys_child(
    redis_url: str, publisher: TaskPublisher
) -> None:
    """Proves that the task of Chronos's own worker becomes no parent of the user's task."""
    worker = Celery("chronos-like", broker=redis_url, set_as_current=False)
    worker.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
    outcomes: list[Outcome] = []

    @worker.task(name="chronos-like.tasks", shared=False)  # type: ignore[untyped-decorator]
    def perform() -> None:
        outcomes.append(_perform(publisher, queue="reports")[0])

    with start_worker(worker, perform_ping_check=False, pool="threads", queues=["celery"]):
        perform.delay()
        wait_until(lambda: bool(outcomes))
    assert outcomes == [Succeeded()]
    with Connection(redis_url) as connection:
        message = connection.SimpleQueue("reports").get(timeout=5)
        message.ack()
    assert message.headers["root_id"] == message.headers["id"]
    assert message.headers["parent_id"] is None


def test_a_broker_that_is_not_there_is_worth_another_attempt() -> None:
    publisher = made("redis://127.0.0.1:1/0")
    started = time.monotonic()
    outcome, attempt = _perform(publisher)
    assert time.monotonic() - started < 5
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert attempt.response is None


def test_a_broker_that_refuses_is_worth_another_attempt(
    redis_url: str, publisher: TaskPublisher
) -> None:
    with Redis.from_url(redis_url) as client:
        client.set("taken", "by something else")
    for _ in range(10):
        outcome, _ = _perform(publisher, queue="taken")
        assert isinstance(outcome, Failed)
        assert "kind of value" in outcome.error
    assert not outcome.permanent
    assert _perform(publisher, queue="free")[0] == Succeeded()


@pytest.mark.parametrize(
    "queue",
    ["unacked", "unacked_index", "unacked_mutex", "_kombu.binding.celery", "celery.pidbox"],
)
def test_no_task_gets_into_what_celery_keeps_on_any_broker(redis_url: str, queue: str) -> None:
    """A worker of the user's that finds a list there ends, and ends again at each start."""
    publisher = made(redis_url)
    task = CeleryTask("shop.tasks.report", queue=queue)
    with pytest.raises(Invalid, match=r"payload\.queue"):
        publisher.publish(task, task_id="1", headers={}, deadline=Deadline(5))
    with Redis.from_url(redis_url) as client:
        assert client.keys() == []
    publisher.close()


def test_on_a_broker_of_its_own_chronoss_names_are_the_users(redis_url: str) -> None:
    publisher = made(redis_url)
    assert _perform(publisher, queue="emails")[0] == Succeeded()
    publisher.close()


def test_success_promises_no_more_than_that_the_broker_has_the_task(
    publisher: TaskPublisher,
) -> None:
    outcome, attempt = _perform(publisher, task="no.such.task")
    assert outcome == Succeeded()
    assert attempt.response == {
        "note": "Succeeded: the broker has the task; Chronos does not see whether a worker "
        "performs it, nor how that ends."
    }


def test_a_stored_payload_that_is_invalid_is_told(publisher: TaskPublisher) -> None:
    with pytest.raises(Invalid):
        _perform(publisher, task="not a name")


def test_a_queue_that_nobody_reads_stops_growing_and_the_task_is_tried_again(
    redis_url: str,
) -> None:
    """H1: twelve large tasks a second into such a queue filled Redis."""
    publisher = made(redis_url, longest_queue=5)
    outcomes = [_perform(publisher, args=["x" * 100_000])[0] for _ in range(12)]
    assert outcomes[:5] == [Succeeded()] * 5
    for outcome in outcomes[5:]:
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert "5 tasks wait in the queue 'celery'" in outcome.error
        assert "start more workers" in outcome.error
    with Redis.from_url(redis_url) as client:
        assert client.llen("celery") == 5
        client.rpop("celery")
    assert _perform(publisher)[0] == Succeeded()
    assert _perform(publisher, queue="another")[0] == Succeeded()
    publisher.close()


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (TaskRules(has_broker=False, names=["*"], queues=["*"]), "type"),
        (TaskRules(has_broker=True, names=["reports.*"], queues=["*"]), "payload.task"),
        (TaskRules(has_broker=True, names=[], queues=["*"]), "payload.task"),
        (TaskRules(has_broker=True, names=["*"], queues=["reports-*"]), "payload.queue"),
    ],
)
def test_a_stored_task_that_is_not_allowed_any_more_is_not_published(
    redis_url: str, rules: TaskRules, field: str
) -> None:
    publisher = made(redis_url, rules=rules)
    with pytest.raises(Invalid) as caught:
        _perform(publisher)
    assert list(caught.value.fields) == [field]
    with Redis.from_url(redis_url) as client:
        assert client.keys() == []
    publisher.close()

"""Webhooks between the claim and the recorder: what a worker does when targets hang."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from socket import socket
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

import factories
from chronos_common import clock, settings
from chronos_common.domain import queues
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import POSTPONED_BY, NotAttempted
from chronos_common.errors import Unavailable
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage.executions import claims
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.postgres.database import connect
from chronos_worker import webhooks
from chronos_worker.http.request_memory import RequestMemory
from chronos_worker.recorder import Recorder
from chronos_worker.transfers import limiter
from chronos_worker.webhooks import Webhooks
from factories import Workspace
from outages import lose_answer, no_sockets
from rigs import wait_until
from targets import Answer, Received, Target, hang, reply


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    target.answer = hang
    target.start()
    yield target
    target.close()


@pytest.fixture
def recorder(engine: Engine) -> Iterator[Recorder]:
    recorder = Recorder(engine)
    yield recorder
    if recorder._thread.is_alive():
        recorder.stop()


@pytest.fixture
def begun() -> Event:
    return Event()


@pytest.fixture
def sending(
    engine: Engine,
    heartbeat: Heartbeat,
    recorder: Recorder,
    begun: Event,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Webhooks]:
    """Return what sends one request at a time."""
    monkeypatch.setattr(webhooks, "MAX_WAITING", 2)
    monkeypatch.setattr(webhooks, "WATCH_AFTER", timedelta(0))
    for name, value in {
        "DATABASE_URL": "postgresql://unused/unused",
        "REDIS_URL": "redis://unused",
        "SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "EGRESS_ALLOW": "127.0.0.0/8",
        "MAX_TRANSFERS": "1",
    }.items():
        monkeypatch.setenv(f"CHRONOS_{name}", value)
    impatient = connect(
        engine.url.render_as_string(hide_password=False), name="test", lock_seconds=0.2
    )
    sending = Webhooks(impatient, recorder, heartbeat, settings.load(), on_begin=begun.set)
    sending.start()
    yield sending
    sending.stop(0)
    impatient.dispose()


def _once(may_answer: Event) -> Answer:
    """Answer properly, but not before ``may_answer``."""

    def answer(target: Target, received: Received, stream: socket) -> None:
        may_answer.wait(30)
        reply()(target, received, stream)

    return answer


def _claimed(
    engine: Engine, workspace: Workspace, worker_id: UUID, url: str, *, times: int
) -> tuple[UUID, list[tuple[Claimed, JobSpec]]]:
    """Store a job and claim as many executions of it; return its id, and what is to be sent."""
    now = clock.now()
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        job_id = factories.job(connection, workspace, schedule, now=now, payload={"url": url})
        triggered = [
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue=queues.WEBHOOKS,
                now=now,
            )
            for _ in range(times)
        ]
        specs = Specs().of(connection, triggered)
        claimed = factories.claim(connection, triggered, worker_id=worker_id, now=now)
    return job_id, [(each, specs[job_id]) for each in claimed]


@dataclass(frozen=True)
class Crowd:
    """Six claimed executions of one job, one of them on its way to a target that hangs."""

    job_id: UUID
    webhooks: Webhooks

    def by_status(self, engine: Engine) -> Counter[str]:
        """Return how many of them have which status."""
        return Counter(row["status"] for row in factories.executions_of(engine, self.job_id))


@pytest.fixture
def crowd(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    target: Target,
    sending: Webhooks,
) -> Crowd:
    job_id, claimed = _claimed(engine, workspace, heartbeat.id, target.url, times=6)
    sending.begin(claimed)
    wait_until(lambda: len(target.received) == 1)
    return Crowd(job_id, sending)


def test_what_waits_for_targets_that_hang_does_not_fill_the_memory(
    engine: Engine, crowd: Crowd
) -> None:
    before = clock.now()
    crowd.webhooks.watch()
    assert crowd.webhooks.in_flight == 1 + 2
    assert crowd.by_status(engine) == {"running": 3, "queued": 3}
    rows = factories.executions_of(engine, crowd.job_id)
    later = [row["due_at"] for row in rows if row["status"] == "queued"]
    assert all(due_at >= before + POSTPONED_BY for due_at in later)


def test_a_large_request_beyond_the_memory_for_them_is_not_attempted(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    recorder: Recorder,
    target: Target,
    sending: Webhooks,
) -> None:
    sending._memory = RequestMemory(0)
    _, claimed = _claimed(engine, workspace, heartbeat.id, target.url, times=2)
    large = {"url": f"{target.url}?{'x' * 5000}"}
    sending.begin([(execution, replace(job, payload=large)) for execution, job in claimed])
    assert sending.in_flight == 0
    for _ in claimed:
        finished = recorder._finished.get(timeout=10)
        assert finished
        assert isinstance(finished.outcome, NotAttempted)
    assert target.received == []


@pytest.mark.parametrize("job_status", ["active", "cancelled"])
def test_what_postgresql_does_not_take_back_is_not_forgotten(
    engine: Engine, crowd: Crowd, job_status: str
) -> None:
    """Fails without ``_kept``: nobody would know of what stays ``running``."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET status = :status WHERE id = :id"),
            {"status": job_status, "id": crowd.job_id},
        )
    with engine.begin() as connection:
        connection.execute(
            text("SELECT FROM executions WHERE job_id = :id FOR UPDATE"), {"id": crowd.job_id}
        )
        with pytest.raises(OperationalError, match="lock timeout"):
            crowd.webhooks.watch()
    crowd.webhooks.watch()
    kept = 3 if job_status == "active" else 1
    assert crowd.webhooks.in_flight == kept
    assert crowd.by_status(engine) == {"running": kept, "queued": 6 - kept}


def test_what_was_given_back_or_postponed_has_not_started(engine: Engine, crowd: Crowd) -> None:
    crowd.webhooks.watch()
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET status = 'cancelled'"))
    crowd.webhooks.watch()
    rows = factories.executions_of(engine, crowd.job_id)
    assert Counter((row["status"], row["started_at"] is not None) for row in rows) == {
        ("running", True): 1,
        ("queued", False): 5,
    }


@pytest.mark.parametrize("statement", ["postpone", "give_back"])
def test_what_postgresql_took_back_without_saying_so_is_not_sent(
    engine: Engine, crowd: Crowd, heartbeat: Heartbeat, statement: str
) -> None:
    """Fails if the engine gets it again: it would be sent although it is somebody else's."""
    if statement == "give_back":
        with engine.begin() as connection:
            connection.execute(text("UPDATE jobs SET status = 'cancelled'"))
    with pytest.MonkeyPatch.context() as patched:
        execute = getattr(claims, statement)

        def execute_and_lose_answer(*arguments: Any, **options: Any) -> Any:
            lose_answer(crowd.webhooks._database, patched)
            return execute(*arguments, **options)

        patched.setattr(claims, statement, execute_and_lose_answer)
        with pytest.raises(OperationalError, match="closed the connection"):
            crowd.webhooks.watch()
    kept = 3 if statement == "postpone" else 1
    assert crowd.by_status(engine) == {"running": kept, "queued": 6 - kept}
    rows = factories.executions_of(engine, crowd.job_id)
    one = next(row["id"] for row in rows if row["status"] == "queued")
    with engine.begin() as connection:
        factories.claim(connection, [one], worker_id=heartbeat.id, now=clock.now())
    crowd.webhooks.watch()
    assert crowd.webhooks.in_flight == kept
    # What this very worker claimed anew is not given back.
    assert crowd.by_status(engine) == {"running": kept + 1, "queued": 5 - kept}


def test_a_worker_that_stops_without_a_database_waits_for_what_is_on_its_way(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    target: Target,
    sending: Webhooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails if ``stop`` ends at what cannot be given back: the rest would be cut off."""
    answers = Event()

    target.answer = _once(answers)
    job_id, claimed = _claimed(engine, workspace, heartbeat.id, target.url, times=2)
    sending.begin(claimed)
    wait_until(lambda: len(target.received) == 1)
    stopping = Thread(target=sending.stop, args=(30,))
    with engine.begin() as connection:
        connection.execute(
            text("SELECT FROM executions WHERE job_id = :id FOR UPDATE"), {"id": job_id}
        )
        stopping.start()
        wait_until(lambda: sending.in_flight == 1)
        answers.set()
        stopping.join(30)
    assert sending._recorder.backlog == 1
    monkeypatch.setattr(sending, "stop", lambda _: None)  # as the fixture would again


def test_no_more_is_claimed_while_what_was_claimed_is_late(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    target: Target,
    sending: Webhooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "MAX_BEHIND", 1)
    monkeypatch.setattr(webhooks, "LATE_SECONDS", 60)
    # A host that hangs is none of this; for so long this one does not count as such.
    monkeypatch.setattr(limiter, "SLOW_AFTER", 60)
    answers, has_room, stop = Event(), Event(), Event()

    def take_room() -> None:
        with sending.room_for_batch(stop):
            has_room.set()

    target.answer = _once(answers)
    for _ in range(4):
        sending.begin(_claimed(engine, workspace, heartbeat.id, target.url, times=1)[1])
    wait_until(lambda: len(target.received) == 1 and sending.in_flight == 4)
    Thread(target=take_room, daemon=True).start()
    assert not has_room.wait(1)
    answers.set()
    assert has_room.wait(30)


def test_a_batch_waits_for_has_room_only_for_a_while(
    sending: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_BEHIND", -1)
    monkeypatch.setattr(webhooks, "LATE_SECONDS", 0.1)
    with sending.room_for_batch(Event()):
        assert sending.in_flight == 0


def test_no_number_of_batches_of_the_backlog_keeps_another_batch_waiting(
    sending: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if all batches wait in one line."""
    monkeypatch.setattr(webhooks, "QUEUE_SECONDS", 1)
    with ExitStack() as stack:
        for _ in range(webhooks.BATCHES):
            stack.enter_context(sending.room_for_batch(Event(), is_backlog=True))
        with pytest.raises(Unavailable):
            stack.enter_context(sending.room_for_batch(Event(), is_backlog=True))
        with sending.room_for_batch(Event()):
            assert sending.in_flight == 0


def test_a_worker_that_stops_waits_for_no_room(
    sending: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_BEHIND", -1)
    monkeypatch.setattr(webhooks, "LATE_SECONDS", 3600)
    stop = Event()
    stop.set()
    with sending.room_for_batch(stop):
        assert sending.in_flight == 0


def test_a_batch_that_waits_too_long_for_those_before_is_left_to_rescue(
    sending: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "QUEUE_SECONDS", 0.01)
    with ExitStack() as stack:
        for _ in range(webhooks.BATCHES):
            stack.enter_context(sending.room_for_batch(Event()))
        with pytest.raises(Unavailable, match="too long"):
            stack.enter_context(sending.room_for_batch(Event()))
    with sending.room_for_batch(Event()):
        assert sending.in_flight == 0


def test_a_request_that_the_worker_could_not_attempt_comes_again_as_the_same_attempt(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    target: Target,
    sending: Webhooks,
    recorder: Recorder,
) -> None:
    target.answer = reply()
    job_id, claimed = _claimed(engine, workspace, heartbeat.id, target.url, times=2)
    before = clock.now()
    with no_sockets():
        sending.begin(claimed)
        wait_until(lambda: recorder.backlog == 2)
    recorder.start()
    assert recorder.flush(30)
    for row in factories.executions_of(engine, job_id):
        assert (row["status"], row["attempt"], row["attempts"]) == ("queued", 1, [])
        assert row["started_at"] is None
        assert row["due_at"] >= before + POSTPONED_BY
    assert target.received == []


def test_the_watch_begins_with_a_request(crowd: Crowd, begun: Event) -> None:
    assert begun.is_set()
    assert crowd.webhooks.is_any_left


def test_requests_on_their_way_back_are_watched_though_none_is_in_flight(
    sending: Webhooks,
) -> None:
    assert not sending.is_any_left
    sending._to_give_back.append(None)
    assert sending.is_any_left
    sending._to_give_back.clear()

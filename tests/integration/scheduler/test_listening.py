"""Schedulers rest until they hear of a change, and never depend on hearing of it."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Semaphore
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import Engine

import factories
from chronos_common import clock, settings
from chronos_common.broker import connect_redis
from chronos_common.events import CHANGED, EventPublisher
from chronos_common.storage.change_feed import UserAction
from chronos_scheduler import service
from chronos_scheduler.listen import Listener
from chronos_scheduler.rescue import Rescuer
from chronos_scheduler.service import Scheduler
from factories import Workspace
from rigs import wait_until

#: Far more than anything here takes.
WITHIN = 30


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect_redis(redis_url) as client:
        yield client


@pytest.fixture
def woken(redis_url: str) -> Iterator[Semaphore]:
    """Counts how often a listener woke its loops."""
    counted = Semaphore(0)
    listener = Listener(connect_redis(redis_url), counted.release)
    listener.start()
    yield counted
    listener.stop()


def _subscribers(redis: Redis) -> int:
    return int(redis.pubsub_numsub(CHANGED)[0][1])


def test_a_listener_wakes_at_its_start_and_at_every_change(
    redis_url: str, woken: Semaphore
) -> None:
    # What happened before it listened may have been missed.
    assert woken.acquire(timeout=WITHIN)
    publisher = EventPublisher(connect_redis(redis_url))
    for _ in range(3):
        publisher.put([UserAction(uuid4(), "job", uuid4(), "job.create")])
        assert woken.acquire(timeout=WITHIN)
    publisher.stop()


def test_a_listener_that_lost_its_connection_listens_again_and_wakes(
    redis: Redis, woken: Semaphore
) -> None:
    assert woken.acquire(timeout=WITHIN)
    redis.client_kill_filter(_type="pubsub")
    assert woken.acquire(timeout=WITHIN)
    redis.publish(CHANGED, b"")
    assert woken.acquire(timeout=WITHIN)


@pytest.fixture
def environment(
    engine: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("CHRONOS_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("CHRONOS_REDIS_URL", redis_url)
    monkeypatch.setenv("CHRONOS_SECRET_KEY", "x" * 32)
    return monkeypatch


def _is_quiet(scheduler: Scheduler) -> bool:
    return all(time.monotonic() > loop._alert_until for loop in scheduler._loops)


def _trigger(engine: Engine, workspace: Workspace, now: datetime) -> object:
    """Queue an execution as the API does, but tell nobody; return its job's id."""
    with engine.begin() as connection:
        later = now + timedelta(hours=1)
        schedule = factories.every(3600, anchor=now)
        job_id = factories.job(connection, workspace, schedule, now=now, next_run_at=later)
        factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=now
        )
    return job_id


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_quiet_scheduler_finds_a_change_that_it_hears_of_and_one_that_it_does_not(
    engine: Engine,
    redis: Redis,
    workspace: Workspace,
    environment: pytest.MonkeyPatch,
    is_heard: bool,  # noqa: FBT001 - a case
) -> None:
    if is_heard:
        for longest in (
            "PLAN_QUIET",
            "DISPATCH_QUIET",
            "LONGEST_QUIET_SECONDS",
            "HEARING_SECONDS",
        ):
            environment.setattr(service, longest, 3600.0)
        environment.setattr(Rescuer, "tick", lambda _: False)
    scheduler = Scheduler(settings.load())

    def change_something() -> None:
        wait_until(lambda: _subscribers(redis) == 1, within=WITHIN)
        wait_until(lambda: _is_quiet(scheduler), within=WITHIN)
        job_id = _trigger(engine, workspace, clock.now())
        if is_heard:
            redis.publish(CHANGED, b"")
        wait_until(
            lambda: bool(factories.executions_of(engine, job_id)[0]["dispatched_at"]),
            within=WITHIN,
        )

    scheduler.run(wait=change_something)


@pytest.mark.parametrize("lookahead", [0.1, 1.5, 10])
def test_what_was_known_in_time_is_found_in_time_without_hearing_of_it(
    environment: pytest.MonkeyPatch, lookahead: float
) -> None:
    environment.setenv("CHRONOS_LOOKAHEAD_SECONDS", str(lookahead))
    scheduler = Scheduler(settings.load())
    assert not scheduler._listener.hears
    quiet = {loop.name: loop._quiet for loop in scheduler._loops}
    plan, dispatch = quiet["plan"](), quiet["dispatch"]()
    assert plan <= lookahead / 2
    assert dispatch < lookahead
    assert max(plan, dispatch) <= service.LONGEST_QUIET_SECONDS


def test_a_scheduler_that_hears_rests_until_the_next_instant_comes_within_its_lookahead(
    now: datetime,
) -> None:
    def rest(seconds: float) -> float:
        due = now + timedelta(seconds=seconds)
        return service.rest_seconds(due, lookahead=timedelta(seconds=1.5), longest=5.0, now=now)

    assert [rest(seconds) for seconds in (-3, 1.5, 2, 6.5, 60)] == [0, 0, 0.5, 5, 5]
    assert service.rest_seconds(None, lookahead=timedelta(0), longest=5.0, now=now) == 5


def test_a_listener_knows_whether_it_hears(redis_url: str) -> None:
    heard = Semaphore(0)
    listener = Listener(connect_redis(redis_url), heard.release)
    assert not listener.hears
    listener.start()
    assert heard.acquire(timeout=WITHIN)
    wait_until(lambda: listener.hears, within=WITHIN)
    listener.stop()
    deaf = Listener(connect_redis("redis://127.0.0.1:9"), heard.release)
    deaf.start()
    wait_until(lambda: deaf._is_away, within=WITHIN)
    assert not deaf.hears
    deaf.stop()

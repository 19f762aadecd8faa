"""The watchdog ends a worker that takes nothing although there is something, and no other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest
import requests
from redis import Redis

from chronos_common import clock
from chronos_common.broker import Batch, Broker
from chronos_common.embedded.processes import ports
from chronos_worker.consumers import watchdog
from chronos_worker.consumers.watchdog import EXIT_CODE, Watchdog
from rigs import wait_until

NEGLECT_SECONDS = 0.4
LONG_AGO = timedelta(minutes=1)


class Dog:
    """A watchdog of two queues, what it found, and what it watches over."""

    def __init__(self, broker: Broker) -> None:
        self.neglected: list[str] = []
        self.broker = broker
        self.watchdog = Watchdog(
            broker,
            threads={"webhooks": 1, "emails": 1},
            lists={"webhooks": ["webhooks"], "emails": ["emails", "emails_backlog"]},
            on_neglect=self.neglected.append,
            neglect_seconds=NEGLECT_SECONDS,
        )
        self.take = self.watchdog.watched("webhooks", lambda _ids, _fire_at: None)

    def publish(self, queue: str = "webhooks", *, age: timedelta = LONG_AGO) -> None:
        now = clock.now()
        self.broker.publish([Batch(queue, [], now)], now=now - age)

    def finds(self) -> list[str]:
        """Look until something is neglected; return it."""
        return self.look(30)

    def look(self, seconds: float = 3 * NEGLECT_SECONDS) -> list[str]:
        """Look often for a while; return what was neglected."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.neglected:
            self.watchdog.tick()
            time.sleep(0.02)
        return self.neglected


@pytest.fixture
def dog(broker: Broker) -> Dog:
    return Dog(broker)


def test_a_queue_of_which_nothing_is_taken_is_neglected(dog: Dog) -> None:
    dog.publish("emails")
    assert dog.finds() == ["emails"]


def test_an_empty_queue_and_one_whose_messages_are_young_are_not(dog: Dog) -> None:
    assert dog.look() == []
    dog.publish(age=-LONG_AGO)
    assert dog.look() == []


def test_a_queue_of_which_something_is_taken_now_and_then_is_not(dog: Dog) -> None:
    dog.publish()
    for _ in range(6):
        assert dog.look(NEGLECT_SECONDS / 2) == []
        dog.take([], clock.now())
    assert dog.finds() == ["webhooks"]


def test_a_process_whose_threads_are_all_busy_neglects_nothing(dog: Dog) -> None:
    started, done = Event(), Event()

    def work(_ids: object, _fire_at: datetime) -> None:
        started.set()
        done.wait(30)

    take = dog.watchdog.watched("webhooks", work)
    busy = Thread(target=take, args=([], clock.now()))
    busy.start()
    assert started.wait(10)
    dog.publish()
    assert dog.look() == []
    done.set()
    busy.join()
    assert dog.finds() == ["webhooks"]


def test_without_redis_nothing_is_neglected() -> None:
    broker = Broker("redis://127.0.0.1:1/0")
    assert Dog(broker).look() == []
    broker.close()


def test_a_process_that_was_frozen_gets_its_time_after_it_was_thawed(
    dog: Dog, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog.publish()
    dog.watchdog.tick()
    thawed = SimpleNamespace(monotonic=lambda: time.monotonic() + 2 * NEGLECT_SECONDS)
    monkeypatch.setattr(watchdog, "time", thawed)
    dog.watchdog.tick()
    assert dog.neglected == []
    assert dog.finds() == ["webhooks"]


# Its consumers never ask Redis for a message: what hangs in them is no matter here.
DEAF_WORKER = """
import sys
from chronos_worker.consumers import watchdog
watchdog.LOOK_SECONDS = 0.2
watchdog.Watchdog.__init__.__kwdefaults__["neglect_seconds"] = 1.0
from kombu.transport.redis import Channel
Channel._brpop_start = lambda self, timeout=None: None
from chronos_common.cli import main
sys.argv = ["chronos", "worker"]
main()
"""


@pytest.fixture
def deaf_worker(
    database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    port = ports.free()
    environment = {
        **os.environ,  # noqa: TID251 - the child's
        "CHRONOS_DATABASE_URL": database_url,
        "CHRONOS_REDIS_URL": redis_url,
        "CHRONOS_SECRET_KEY": "x" * 32,
        "CHRONOS_DATA_DIR": str(tmp_path),
        "CHRONOS_METRICS_PORT": str(port),
        "CHRONOS_SHUTDOWN_GRACE_SECONDS": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", DEAF_WORKER], env=environment, stdout=log, stderr=log
        )
    yield process, port
    process.kill()
    process.wait()


def test_a_worker_that_hears_nothing_ends_so_that_it_is_started_again(
    deaf_worker: tuple["subprocess.Popen[bytes]", int], broker: Broker
) -> None:
    process, port = deaf_worker

    def is_healthy() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    wait_until(is_healthy, within=60)
    broker.publish([Batch("webhooks", [], clock.now())], now=clock.now() - LONG_AGO)
    assert process.wait(60) == EXIT_CODE


def test_the_message_that_nobody_took_is_there_still(dog: Dog, redis_url: str) -> None:
    dog.publish()
    dog.finds()
    with Redis.from_url(redis_url) as client:
        assert client.llen("webhooks") == 1

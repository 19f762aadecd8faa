"""A process says whether it makes progress, not only that it answers."""

from collections.abc import Callable
from queue import Queue
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from chronos_common.process import health
from chronos_common.process.health import Progress, ProgressCheck
from chronos_common.process.loops import Loop, stop_all
from rigs import wait_until


def _ask(faults: list[str], path: str) -> tuple[str, bytes]:
    answered: list[str] = []
    start: Callable[..., Any] = lambda status, _headers, *_: answered.append(status)  # noqa: E731
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
    body = b"".join(health.application(lambda: faults)(environ, start))
    return answered[0], body


def test_parts_that_are_silent_for_too_long_are_named() -> None:
    parts = [
        ProgressCheck("transfers", lambda: 31.0, 30.0),
        ProgressCheck("recorder", lambda: 5.0, 30.0),
    ]
    assert Progress(parts).faults() == ["transfers has made no progress for 31 s."]


def test_health_is_503_with_the_reasons_and_200_without() -> None:
    assert _ask([], "/health") == ("200 OK", b'{"status": "ok", "faults": []}')
    status, body = _ask(["It hangs."], "/health")
    assert status == "503 Service Unavailable"
    assert b"It hangs." in body


def test_metrics_are_shown_whatever_the_health() -> None:
    status, body = _ask(["It hangs."], "/metrics")
    assert status == "200 OK"
    assert b"chronos_planned_total" in body


def test_a_tick_that_hangs_is_noticed_and_a_loop_that_rests_is_not() -> None:
    begun, ends = Event(), Event()

    def tick() -> bool:
        begun.set()
        ends.wait(30)
        return False

    loop = Loop("hung", tick, idle_seconds=3600)
    check = health.loop_check(loop)
    assert check.silent_seconds() == 0
    loop.start()
    assert begun.wait(10)
    before = check.silent_seconds()
    wait_until(lambda: check.silent_seconds() >= before + 0.05)
    ends.set()
    wait_until(lambda: check.silent_seconds() == 0)
    stop_all([loop], timeout=5)


def test_the_port_sleeps_until_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: Queue[float] = Queue()
    server = SimpleNamespace(serve_forever=lambda *, poll_interval: rests.put(poll_interval))
    monkeypatch.setattr(health, "make_server", lambda *_, **__: server)
    health.serve(SimpleNamespace(metrics_host="127.0.0.1", metrics_port=1), list)
    assert rests.get(timeout=30) >= 60

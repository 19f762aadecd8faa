"""The transfer engine against real servers: when requests start, how many at once, and its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from socket import socket
from threading import Event
from typing import Any

import pytest

import rigs
from chronos_common import clock
from chronos_worker.actions import webhook
from chronos_worker.request import Request
from chronos_worker.request import Target as Destination
from chronos_worker.result import ErrorKind, Result
from chronos_worker.slots import Limits
from rigs import Rig, request_to, wait_until
from targets import Answer, Received, Target, by_path, hang, reply

LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    target.start()
    yield target
    target.close()


@pytest.fixture
def start_rig() -> Iterator[Callable[..., Rig]]:
    """Start an engine with the limits that a test needs."""
    with ExitStack() as stack:

        def start(
            max_transfers: int = 100,
            max_per_host: int = 50,
            may_start: Callable[[Request], bool] = lambda _: True,
        ) -> Rig:
            limits = Limits(max_transfers, max_per_host)
            return stack.enter_context(rigs.running(LOOPBACK, limits, may_start))

        yield start


@pytest.fixture
def rig(start_rig: Callable[..., Rig]) -> Rig:
    return start_rig()


def test_a_request_arrives_whole(rig: Rig, target: Target) -> None:
    result = rig.send(
        f"{target.url}/hook?a=1",
        method="PUT",
        params={"b": ["2", "3"]},
        headers={"X-Thing": "yes", "X-Empty": ""},
        body={"name": "Zoë"},
    )
    (received,) = target.received
    assert (received.method, received.path) == ("PUT", "/hook?a=1&b=2&b=3")
    assert received.body == '{"name":"Zoë"}'.encode()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-thing"] == "yes"
    assert received.headers["x-empty"] == ""
    assert "expect" not in received.headers
    assert (result.http_status, result.body, result.error) == (200, b"ok", None)
    assert result.primary_ip == "127.0.0.1"


def test_a_request_leaves_at_its_instant_and_not_before(rig: Rig, target: Target) -> None:
    due_at = clock.now() + timedelta(seconds=0.4)
    request = request_to(target.url, at=due_at)
    rig.engine.submit([request])
    result = rig.result_of(request)
    late = target.received[0].arrived_at - due_at.timestamp()
    assert 0 <= late < 0.25
    assert timedelta(0) <= result.started_at - due_at < timedelta(seconds=0.25)


def test_requests_leave_in_the_order_of_their_instants(rig: Rig, target: Target) -> None:
    start = clock.now() + timedelta(seconds=0.2)
    requests = [
        request_to(f"{target.url}/{number}", at=start + timedelta(milliseconds=30 * number))
        for number in (3, 1, 2, 0)
    ]
    rig.engine.submit(requests)
    rig.wait_for(4)
    assert target.paths() == ["/0", "/1", "/2", "/3"]


def test_a_late_request_leaves_at_once(rig: Rig, target: Target) -> None:
    request = request_to(target.url, at=clock.now() - timedelta(minutes=1))
    rig.engine.submit([request])
    assert rig.result_of(request).http_status == 200


def test_a_connection_is_used_again(rig: Rig, target: Target) -> None:
    for _ in range(5):
        rig.send(target.url)
    assert target.connections == 1


def test_a_handle_carries_nothing_over_from_one_request_to_the_next(
    rig: Rig, target: Target
) -> None:
    rig.send(target.url, method="POST", headers={"X-Secret": "s"}, body="x" * 10)
    rig.send(target.url, method="HEAD")
    rig.send(target.url, method="GET")
    rig.send(target.url, method="DELETE", body=[1])
    rig.send(target.url, method="POST")
    post, head, get, delete, empty = target.received
    assert [each.method for each in (post, head, get, delete, empty)] == [
        "POST",
        "HEAD",
        "GET",
        "DELETE",
        "POST",
    ]
    assert [each.body for each in (post, head, get, delete, empty)] == [
        b"x" * 10,
        b"",
        b"",
        b"[1]",
        b"",
    ]
    assert "x-secret" not in head.headers | get.headers | delete.headers | empty.headers
    assert "content-length" not in get.headers
    assert empty.headers["content-length"] == "0"
    assert "content-type" not in empty.headers


def test_no_more_than_the_limit_runs_against_one_host(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_transfers=100, max_per_host=3)
    target.answer = _after(0.03)
    rig.engine.submit([request_to(target.url) for _ in range(20)])
    rig.wait_for(20)
    assert target.busiest == 3


def test_no_more_than_the_limit_runs_in_total(start_rig: Callable[..., Rig]) -> None:
    rig = start_rig(max_transfers=4, max_per_host=3)
    with ExitStack() as stack:
        targets = [Target() for _ in range(3)]
        for each in targets:
            each.answer = _after(0.05)
            each.start()
            stack.callback(each.close)
        rig.engine.submit([request_to(each.url) for each in targets for _ in range(6)])
        most = 0
        while len(rig.done) < 18:
            most = max(most, len(rig.engine.in_flight()))
        assert most == 4


def test_waiting_for_a_slot_counts_as_drift_and_not_as_duration(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_per_host=1)
    target.answer = _after(0.2)
    due_at = clock.now()
    rig.engine.submit([request_to(target.url, at=due_at) for _ in range(2)])
    first, second = rig.wait_for(2)
    assert second.started_at - due_at >= timedelta(seconds=0.2)
    assert first.duration_seconds >= 0.2
    assert 0.2 <= second.duration_seconds < 0.39


def test_a_hanging_host_does_not_delay_another(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_transfers=100, max_per_host=5)
    hanging = Target()
    hanging.answer = hang
    hanging.start()
    try:
        rig.engine.submit([request_to(hanging.url, timeout=30) for _ in range(50)])
        wait_until(lambda: len(hanging.received) == 5)
        requests = [request_to(target.url) for _ in range(50)]
        rig.engine.submit(requests)
        results = rig.wait_for(50)
        assert all(result.http_status == 200 for result in results)
        assert len(hanging.received) == 5
    finally:
        hanging.close()


def test_a_hanging_job_does_not_take_the_slots_of_others_on_its_host(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_transfers=8, max_per_host=4)
    target.answer = by_path({"/hang": hang, "/quick": reply()})
    hanging = request_to(f"{target.url}/hang", timeout=30)
    rig.engine.submit([hanging])
    wait_until(lambda: bool(target.received))
    # It becomes known as slow; from then on it may hold half of the host's slots, not all.
    time.sleep(1.2)
    rig.engine.submit([rigs.again(hanging, after=number / 100) for number in range(1, 20)])
    wait_until(lambda: target.paths().count("/hang") == 2)
    rig.engine.submit([request_to(f"{target.url}/quick") for _ in range(20)])
    rig.wait_for(20)
    assert target.paths().count("/hang") == 2


def test_a_cancelled_request_that_waits_never_leaves(rig: Rig, target: Target) -> None:
    soon = clock.now() + timedelta(seconds=0.3)
    cancelled, kept = request_to(f"{target.url}/no", at=soon), request_to(target.url, at=soon)
    rig.engine.submit([cancelled, kept])
    rig.engine.cancel(cancelled.execution.id)
    rig.result_of(kept)
    assert rig.engine.drain(5)
    assert target.paths() == ["/"]
    assert len(rig.done) == 1


def test_a_cancelled_request_on_its_way_is_aborted_without_a_result(
    rig: Rig, target: Target
) -> None:
    gone = Event()

    def notice(target: Target, _received: Received, stream: socket) -> None:
        assert stream.recv(1) == b""
        gone.set()
        target.closing.wait(0.1)

    target.answer = notice
    request = request_to(target.url, timeout=30)
    rig.engine.submit([request])
    wait_until(lambda: bool(target.received))
    rig.engine.cancel(request.execution.id)
    assert gone.wait(5), "the target still has its connection"
    assert rig.engine.drain(5)
    assert rig.done == []
    assert rig.engine.in_flight() == []


def test_cancelling_what_is_not_there_does_nothing(rig: Rig, target: Target) -> None:
    request = request_to(target.url)
    rig.engine.cancel(request.execution.id)
    rig.engine.submit([request])
    assert rig.result_of(request).http_status == 200


def test_a_newer_claim_of_an_execution_replaces_the_older_one(rig: Rig, target: Target) -> None:
    target.answer = by_path({"/old": hang, "/new": reply()})
    old = request_to(f"{target.url}/old", timeout=30)
    rig.engine.submit([old])
    wait_until(lambda: bool(target.received))
    new = request_to(f"{target.url}/new")._replace(execution=old.execution)
    rig.engine.submit([new])
    assert rig.result_of(new).http_status == 200
    assert rig.engine.drain(5)
    assert [request for request, _ in rig.done] == [new]


def test_what_this_worker_no_longer_holds_does_not_leave(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    held = request_to(f"{target.url}/held")
    lost = [request_to(f"{target.url}/lost") for _ in range(60)]
    rig = start_rig(may_start=lambda request: request is held)
    rig.engine.submit([*lost, held])
    rig.result_of(held)
    assert rig.engine.drain(5)
    assert target.paths() == ["/held"]
    assert rig.engine.dropped == 60


def test_the_lease_is_asked_for_at_the_start_and_not_when_submitting(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    asked: list[float] = []

    def may_start(_: Request) -> bool:
        asked.append(time.time())
        return True

    rig = start_rig(may_start=may_start)
    due_at = clock.now() + timedelta(seconds=0.3)
    rig.engine.submit([request_to(target.url, at=due_at)])
    rig.wait_for(1)
    assert len(asked) == 1
    assert asked[0] >= due_at.timestamp()


def test_the_signature_is_of_the_moment_of_sending(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig()
    request = request_to(target.url, at=clock.now() - timedelta(minutes=10))
    rig.engine.submit([request])
    rig.result_of(request)
    sent = int(target.received[0].headers["webhook-timestamp"])
    assert abs(sent - time.time()) < 30


def test_faults_of_the_callbacks_do_not_end_the_engine(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    poison, good = request_to(f"{target.url}/poison"), request_to(f"{target.url}/good")
    unasked = request_to(f"{target.url}/unasked")

    def may_start(request: Request) -> bool:
        if request is unasked:
            raise RuntimeError("no lease")
        return True

    rig = start_rig(max_transfers=1, max_per_host=1, may_start=may_start)
    keep = rig.engine._on_done

    def on_done(request: Request, result: Result) -> None:
        if request is poison:
            raise RuntimeError("no recorder")
        keep(request, result)

    rig.engine._on_done = on_done
    rig.engine.submit([unasked, poison, good])
    assert rig.result_of(good).http_status == 200
    assert target.paths() == ["/poison", "/good"]


def test_what_libcurl_cannot_send_is_that_requests_result(rig: Rig, target: Target) -> None:
    poison = request_to(target.url)
    poison = poison._replace(target=_with(poison, url="http://\x00/"))
    surprise = request_to(target.url)
    surprise = surprise._replace(target=_with(surprise, key=None))
    rig.engine.submit([poison, surprise])
    for request in (poison, surprise):
        result = rig.result_of(request)
        assert result.error
        assert result.error.kind is ErrorKind.INTERNAL
        assert getattr(webhook.outcome(request, result)[0], "permanent", False)
    assert rig.send(target.url).http_status == 200
    assert rig.engine.in_flight() == []


def test_drain_waits_for_everything_and_tells_when_it_took_too_long(
    rig: Rig, target: Target
) -> None:
    target.answer = _after(0.3)
    rig.engine.submit([request_to(target.url, at=clock.now() + timedelta(seconds=0.2))])
    assert not rig.engine.drain(0.05)
    assert rig.engine.drain(10)
    assert len(rig.done) == 1


def test_withdrawing_gives_back_what_has_not_started_and_lets_the_rest_end(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    release = Event()
    target.answer = _once(release)
    rig = start_rig(max_per_host=1)
    flying, queued = request_to(target.url), request_to(target.url)
    later = request_to(target.url, at=clock.now() + timedelta(minutes=1))
    rig.engine.submit([flying, queued, later])
    wait_until(lambda: bool(target.received))
    assert rig.engine.withdraw() == [queued, later]
    assert rig.engine.waiting == 0
    release.set()
    assert rig.engine.drain(5)
    assert [request for request, _ in rig.done] == [flying]
    too_late = request_to(target.url)
    rig.engine.submit([too_late])
    wait_until(lambda: rig.engine.waiting == 1)
    leftover = rig.engine.stop()
    assert leftover.unstarted == [too_late]
    assert leftover.aborted == []
    assert len(target.received) == 1


def test_stopping_gives_back_everything_that_has_no_result(rig: Rig, target: Target) -> None:
    target.answer = hang
    flying = request_to(target.url, timeout=30)
    later = request_to(target.url, at=clock.now() + timedelta(minutes=1))
    rig.engine.submit([flying, later])
    wait_until(lambda: bool(target.received))
    leftover = rig.engine.stop()
    assert leftover.unstarted == [later]
    assert leftover.aborted == [flying]
    assert rig.done == []


def test_the_engine_shows_signs_of_life_while_idle(rig: Rig) -> None:
    before = time.monotonic()
    wait_until(lambda: rig.engine.last_turn > before, within=5)


def _after(seconds: float) -> Answer:
    answer = reply()

    def slowly(target: Target, received: Received, stream: socket) -> None:
        target.closing.wait(seconds)
        answer(target, received, stream)

    return slowly


def _once(released: Event) -> Answer:
    answer = reply()

    def wait_first(target: Target, received: Received, stream: socket) -> None:
        released.wait(10)
        answer(target, received, stream)

    return wait_first


def _with(request: Request, **changes: Any) -> Destination:
    return replace(request.target, **changes)

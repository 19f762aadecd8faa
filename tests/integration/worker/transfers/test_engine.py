"""The transfer engine as its worker uses it: leases, cancelling, poison, draining, stopping."""

import errno
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from chronos_common import clock
from chronos_worker.actions import webhook
from chronos_worker.http.request import RequestTemplate, TransferRequest
from chronos_worker.transfers import curl_handle, engine
from chronos_worker.transfers.curl_handle import CurlHandle
from chronos_worker.transfers.results import ErrorKind, TransferResult
from chronos_worker.transfers.transfer import Transfers
from outages import no_sockets
from rigs import Rig, kind_of, request_to, wait_until
from targets import Answer, Received, Target, by_path, hang, reply

#: An option of linux/in.h, since Linux 6.3. Python has no name for it.
_IP_LOCAL_PORT_RANGE: Final = 51


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
    target.answer = _until_hung_up(gone)
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
    gone = Event()
    target.answer = by_path({"/old": _until_hung_up(gone), "/new": reply()})
    old = request_to(f"{target.url}/old", timeout=30)
    rig.engine.submit([old])
    wait_until(lambda: bool(target.received))
    new = webhook.prepare(old.execution, request_to(f"{target.url}/new").job)
    rig.engine.submit([new])
    assert rig.result_of(new).http_status == 200
    assert gone.wait(5), "the older request still has its connection"
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
    assert rig.engine.unstarted == 0


def test_the_lease_is_asked_for_at_the_start_and_not_when_submitting(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    asked: list[float] = []

    def may_start(_: TransferRequest) -> bool:
        asked.append(time.time())
        return True

    rig = start_rig(may_start=may_start)
    due_at = clock.now() + timedelta(seconds=0.3)
    rig.engine.submit([request_to(target.url, at=due_at)])
    rig.wait_for(1)
    assert len(asked) == 1
    assert asked[0] >= due_at.timestamp()


def test_faults_of_the_callbacks_do_not_end_the_engine(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    poison, good = request_to(f"{target.url}/poison"), request_to(f"{target.url}/good")
    unasked = request_to(f"{target.url}/unasked")

    def may_start(request: TransferRequest) -> bool:
        if request is unasked:
            raise RuntimeError("no lease")
        return True

    rig = start_rig(max_transfers=1, max_per_host=1, may_start=may_start)
    keep = rig.engine._on_done

    def on_done(request: TransferRequest, result: TransferResult) -> None:
        if request is poison:
            raise RuntimeError("no recorder")
        keep(request, result)

    rig.engine._on_done = on_done
    with capture_logs() as logs:
        rig.engine.submit([unasked, poison, good])
        assert rig.result_of(good).http_status == 200
        assert rig.engine.drain(5)
    assert sorted(target.paths()) == ["/good", "/poison"]
    assert {log["execution_id"] for log in logs} == {
        str(unasked.execution.id),
        str(poison.execution.id),
    }


def test_what_libcurl_cannot_send_is_that_requests_result(rig: Rig, target: Target) -> None:
    poison = request_to(target.url)
    poison = poison._replace(template=_with(poison, url="http://\x00/"))
    surprise = request_to(target.url)
    surprise = surprise._replace(template=_with(surprise, keys=None))
    with capture_logs():
        rig.engine.submit([poison, surprise])
        rig.wait_for(2)
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
    release = Event()
    target.answer = _once(release)
    rig.engine.submit([request_to(target.url, at=clock.now() + timedelta(seconds=0.2))])
    assert not rig.engine.drain(0.05)
    release.set()
    assert rig.engine.drain(10)
    assert len(rig.done) == 1


def test_withdrawing_gives_back_what_has_not_started_and_lets_the_rest_end(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    release = Event()
    target.answer = _once(release)
    rig = start_rig(max_per_host=1)
    hanging, queued = request_to(target.url), request_to(target.url)
    later = request_to(target.url, at=clock.now() + timedelta(minutes=1))
    rig.engine.submit([hanging, queued, later])
    wait_until(lambda: bool(target.received))
    assert rig.engine.withdraw() == [queued, later]
    assert rig.engine.unstarted == 0
    release.set()
    assert rig.engine.drain(5)
    assert [request for request, _ in rig.done] == [hanging]
    too_late = request_to(target.url)
    rig.engine.submit([too_late])
    wait_until(lambda: rig.engine.unstarted == 1)
    leftover = rig.engine.stop()
    assert leftover.unstarted == [too_late]
    assert leftover.aborted == []
    assert len(target.received) == 1


def test_what_waits_for_a_slot_can_be_taken_back_and_what_has_started_cannot(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    release = Event()
    target.answer = _once(release)
    rig = start_rig(max_per_host=1)
    hanging, queued = request_to(target.url), request_to(target.url)
    later = request_to(target.url, at=clock.now() + timedelta(minutes=1))
    rig.engine.submit([hanging, queued, later])
    wait_until(lambda: bool(target.received) and rig.engine.unstarted == 2)
    assert rig.engine.overdue(clock.now()) == [queued.execution.id]
    both = [hanging.execution.id, queued.execution.id]
    assert rig.engine.take_back(both) == [queued]
    release.set()
    wait_until(lambda: len(rig.done) == 1)
    assert rig.engine.unstarted == 1


def test_an_engine_that_is_late_keeps_what_it_has(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if the engine hands over although nobody waits any more: it would be nowhere."""
    monkeypatch.setattr(engine, "_ANSWER_SECONDS", 0.1)
    is_late = Event()
    rig.engine._post(lambda: bool(is_late.wait(30)))
    request = request_to(target.url, at=clock.now() + timedelta(seconds=60))
    rig.engine.submit([request])
    assert rig.engine.take_back([request.execution.id]) == []
    assert rig.engine.withdraw() == []
    is_late.set()
    wait_until(lambda: rig.engine.unstarted == 1)
    monkeypatch.undo()
    assert rig.engine.take_back([request.execution.id]) == [request]


def test_stopping_gives_back_everything_that_has_no_result(rig: Rig, target: Target) -> None:
    target.answer = hang
    hanging = request_to(target.url, timeout=30)
    later = request_to(target.url, at=clock.now() + timedelta(minutes=1))
    rig.engine.submit([hanging, later])
    wait_until(lambda: bool(target.received))
    leftover = rig.engine.stop()
    assert leftover.unstarted == [later]
    assert leftover.aborted == [hanging]
    assert rig.done == []


def test_the_engine_shows_signs_of_life_while_idle(rig: Rig) -> None:
    before = time.monotonic()
    # It sleeps for 20 s unless it is woken.
    wait_until(lambda: rig.engine.last_pass > before, within=80)


def _once(released: Event) -> Answer:
    answer = reply()

    def wait_first(target: Target, received: Received, stream: socket.socket) -> None:
        released.wait(10)
        answer(target, received, stream)

    return wait_first


def _with(request: TransferRequest, **changes: Any) -> RequestTemplate:
    return replace(request.template, **changes)


def _until_hung_up(gone: Event) -> Answer:
    def answer(_target: Target, _received: Received, stream: socket.socket) -> None:
        if stream.recv(1) == b"":
            gone.set()

    return answer


def test_a_request_without_a_socket_for_it_was_not_attempted(rig: Rig, target: Target) -> None:
    request, later = request_to(target.url), request_to(target.url)
    with no_sockets():
        rig.engine.submit([request])
        result = rig.result_of(request)
    assert (result.http_status, kind_of(result)) == (None, ErrorKind.WORKER)
    rig.engine.submit([later])
    assert rig.result_of(later).http_status == 200
    assert len(target.received) == 1


def test_a_request_without_a_handle_for_it_was_not_attempted(
    start_rig: Callable[..., Rig], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if its permit is kept: then no other request ever leaves."""
    rig = start_rig(max_transfers=1)
    make = Transfers._new_handle
    made = iter([MemoryError(), OSError(errno.EMFILE, "Too many open files"), None])

    def make_or_raise(self: Transfers) -> CurlHandle:
        error = next(made)
        if error:
            raise error
        return make(self)

    monkeypatch.setattr(Transfers, "_new_handle", make_or_raise)
    requests = [request_to(target.url) for _ in range(3)]
    rig.engine.submit(requests)
    kinds = [kind_of(rig.result_of(each)) for each in requests]
    assert kinds == [ErrorKind.WORKER, ErrorKind.WORKER, None]


def test_a_redirect_without_a_socket_for_it_is_the_end_of_the_attempt(
    rig: Rig, start_target: Callable[..., Target]
) -> None:
    """Proves that a request that has left counts, whatever the worker lacks afterwards."""
    first, second = start_target(), start_target()
    first.answer = reply(302, headers={"Location": second.url})
    request = request_to(first.url)
    with no_sockets(but=1):
        rig.engine.submit([request])
        result = rig.result_of(request)
    assert kind_of(result) is ErrorKind.CONNECT
    assert (result.http_status, second.received) == (302, [])


def test_a_request_without_a_port_for_it_was_not_attempted(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = urlsplit(target.url)
    with socket.create_connection((url.hostname, url.port)) as busy:
        only = busy.getsockname()[1]
        make = socket.socket

        def make_with_one_port(*arguments: Any) -> socket.socket:
            made = make(*arguments)
            bounds = struct.pack("=I", only << 16 | only)
            made.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, bounds)
            return made

        try:
            make_with_one_port(socket.AF_INET, socket.SOCK_STREAM).close()
        except OSError:
            pytest.skip("this kernel cannot limit the ports of a socket")
        limited = SimpleNamespace(**vars(socket) | {"socket": make_with_one_port})
        monkeypatch.setattr(curl_handle, "socket", limited)
        request = request_to(target.url)
        rig.engine.submit([request])
        result = rig.result_of(request)
    assert (result.http_status, kind_of(result)) == (None, ErrorKind.WORKER)

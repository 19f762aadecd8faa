"""Kept connections: used again while that is safe, and replaced before a request could be lost."""

import socket
from collections.abc import Callable

import pytest

import http2
import rigs
from chronos_worker.transfers import kept_connections
from chronos_worker.transfers.kept_connections import MAX_IDLE_SECONDS
from chronos_worker.transfers.results import ErrorKind
from rigs import Rig, kind_of, wait_until
from targets import Received, Target, raw, reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Some servers send this to a connection that was idle for long.
STRAY = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"


class Clock:
    """Gives the time that a test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(kept_connections, "monotonic", clock)
    return clock


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_died_while_idle_is_replaced_before_the_request(
    rig: Rig, start_target: Callable[..., Target], *, tls: bool
) -> None:
    target = start_target(tls=tls)
    # The answer promises to keep the connection; closing it then takes libcurl by surprise.
    target.answer = raw(OK)
    for count in range(1, 6):
        assert rig.send(target.url, verify_tls=False).http_status == 200
        wait_until(lambda count=count: target.closed == count)
    assert target.connections == 5
    assert len(target.received) == 5


def test_so_is_one_whose_target_only_stopped_sending(rig: Rig, target: Target) -> None:
    stopped: list[int] = []

    def answer(_target: Target, received: Received, stream: socket.socket) -> None:
        stream.sendall(OK)
        stream.shutdown(socket.SHUT_WR)
        stopped.append(received.connection)

    target.answer = answer
    for count in range(1, 4):
        assert rig.send(target.url).http_status == 200
        wait_until(lambda count=count: len(stopped) == count)
    assert stopped == [1, 2, 3]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_answer_that_nobody_asked_for_is_not_the_next_requests(
    rig: Rig, start_target: Callable[..., Target], *, tls: bool, is_late: bool
) -> None:
    target = start_target(tls=tls)
    streams: list[socket.socket] = []

    def answer(_target: Target, _received: Received, stream: socket.socket) -> None:
        streams.append(stream)
        is_first = len(streams) == 1
        stream.sendall(OK + (STRAY if is_first and not is_late else b""))

    target.answer = answer
    assert rig.send(target.url, verify_tls=False).http_status == 200
    if is_late:
        streams[0].sendall(STRAY)
    assert rig.send(target.url, verify_tls=False).http_status == 200
    assert target.connections == 2
    assert len(target.received) == 2


def test_jobs_of_every_second_keep_their_connection(
    rig: Rig, target: Target, clock: Clock
) -> None:
    for second in range(5):
        clock.now = second + 0.2 * (second % 2)
        assert rig.send(target.url).http_status == 200
    assert target.connections == 1


def test_a_connection_that_was_idle_for_as_long_as_servers_wait_is_replaced(
    rig: Rig, target: Target, clock: Clock
) -> None:
    assert rig.send(target.url).http_status == 200
    clock.now += MAX_IDLE_SECONDS + 0.01
    assert rig.send(target.url).http_status == 200
    assert target.connections == 2
    clock.now += MAX_IDLE_SECONDS - 0.01
    assert rig.send(target.url).http_status == 200
    assert target.connections == 2


@pytest.mark.parametrize(
    ("announced", "idle_seconds", "connections"),
    [
        ("timeout=1", 0.4, 1),
        ("timeout=1", 0.6, 2),
        ("max=100, Timeout = 1", 0.6, 2),
        ('timeout="1", max=5', 0.6, 2),
        ("timeout=0", 0, 2),
        ("timeout=5, max=1000", 1.4, 1),
        ("timeout=75", 1.6, 2),
        ("timeout=999999999", 1.4, 1),
        ("max=1", 1.4, 1),
        ("soon", 1.4, 1),
    ],
)
def test_a_target_that_announces_when_it_closes_is_believed(
    rig: Rig, target: Target, clock: Clock, announced: str, idle_seconds: float, connections: int
) -> None:
    target.answer = reply(headers={"Keep-Alive": announced})
    assert rig.send(target.url).http_status == 200
    clock.now += idle_seconds
    assert rig.send(target.url).http_status == 200
    assert target.connections == connections


def test_what_is_remembered_of_connections_is_bounded(
    rig: Rig, start_target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_connections, "_MAX_REMEMBERED", 2)
    targets = [start_target() for _ in range(4)]
    for _ in range(2):
        for target in targets:
            assert rig.send(target.url).http_status == 200
    assert len(rig.engine._transfers._connections._by_ends) == 2
    assert [len(target.received) for target in targets] == [2] * 4


def test_a_stream_that_the_target_refuses_is_not_sent_again_by_itself(rig: Rig) -> None:
    with http2.running(refuses=True) as target:
        assert kind_of(rig.send(target.url, verify_tls=False)) is ErrorKind.CONNECT
        assert target.streams == 1


def test_connections_that_carry_many_requests_at_once_are_kept(rig: Rig, clock: Clock) -> None:
    assert clock.now == 0
    with http2.running() as target:
        for count in range(1, 4):
            requests = [rigs.request_to(target.url, verify_tls=False, body="x") for _ in range(20)]
            rig.engine.submit(requests)
            assert {rig.result_of(each).http_status for each in requests} == {200}
            assert target.streams == 20 * count
            if count == 1:
                opened = target.connections
        assert target.connections == opened

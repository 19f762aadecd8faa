"""Both pollers do the same."""

import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from chronos_worker.transfers import poller
from chronos_worker.transfers.poller import READ, WRITE, EpollPoller, Poller, SelectorPoller


@pytest.fixture(params=[EpollPoller, SelectorPoller])
def one(request: pytest.FixtureRequest) -> Iterator[Poller]:
    make: Callable[[], Poller] = request.param
    one = make()
    yield one
    one.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


Pair = tuple[socket.socket, socket.socket]


def test_what_is_ready_is_told(one: Poller, pair: Pair) -> None:
    near, far = pair
    one.watch(near.fileno(), READ)
    assert list(one.wait(0)) == []
    far.send(b"x")
    assert list(one.wait(1)) == [(near.fileno(), READ)]
    one.watch(near.fileno(), READ | WRITE)
    assert list(one.wait(1)) == [(near.fileno(), READ | WRITE)]
    one.watch(near.fileno(), WRITE)
    assert list(one.wait(1)) == [(near.fileno(), WRITE)]


def test_what_is_not_watched_is_not_told(one: Poller, pair: Pair) -> None:
    near, far = pair
    one.watch(near.fileno(), READ)
    far.send(b"x")
    one.watch(near.fileno(), 0)
    one.watch(near.fileno(), 0)
    assert list(one.wait(0)) == []
    one.watch(near.fileno(), READ)
    assert list(one.wait(1)) == [(near.fileno(), READ)]


@pytest.mark.parametrize("before", [READ, WRITE])
def test_a_descriptor_that_was_closed_and_given_out_again_is_watched(
    one: Poller, before: int
) -> None:
    number = os.open(os.devnull, os.O_RDONLY)
    for events in (before, WRITE):
        near, far = socket.socketpair()
        os.dup2(near.fileno(), number)
        near.close()
        one.watch(number, events)
        assert list(one.wait(0)) == ([(number, WRITE)] if events == WRITE else [])
        far.close()
    os.close(number)
    one.watch(number, 0)
    one.watch(number, 0)
    assert list(one.wait(0)) == []


def test_a_peer_that_hangs_up_is_told(one: Poller, pair: Pair) -> None:
    near, far = pair
    one.watch(near.fileno(), READ)
    far.close()
    ((descriptor, events),) = one.wait(1)
    assert descriptor == near.fileno()
    assert events & READ


@pytest.mark.parametrize("seconds", [0.0004, 0.004, 0.04])
def test_a_wait_is_never_shorter_than_asked_for(one: Poller, seconds: float) -> None:
    started = time.monotonic()
    assert list(one.wait(seconds)) == []
    assert seconds <= time.monotonic() - started < 1


def test_a_wait_of_less_than_nothing_returns_at_once(one: Poller) -> None:
    assert list(one.wait(-1)) == []


def test_this_system_has_a_poller() -> None:
    one = poller.new()
    read_end, write_end = os.pipe()
    one.watch(read_end, READ)
    os.write(write_end, b"x")
    assert list(one.wait(1)) == [(read_end, READ)]
    one.close()
    os.close(read_end)
    os.close(write_end)


def test_a_descriptor_that_nobody_watches_wakes_at_most_once(pair: Pair) -> None:
    one, (near, far) = EpollPoller(), pair
    one.watch(near.fileno(), READ)
    one.watch(near.fileno(), 0)
    far.close()
    assert list(one.wait(1)) == []
    started = time.monotonic()
    assert list(one.wait(0.05)) == []
    assert time.monotonic() - started >= 0.05
    one.close()

"""The benchmarks' own target writes down what arrives, when it is all there, and answers."""

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import target as targets
from benchmarks.referee_server import HOSTS
from benchmarks.target import Target

HEADERS = {
    "X-Chronos-Job-Id": "job",
    "webhook-id": "execution",
    "X-Chronos-Scheduled-For": "2026-11-21T06:30:00.250Z",
    "X-Chronos-Attempt": "1",
}
SCHEDULED_MS = 1_795_242_600_250


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with targets.running(tmp_path, which=targets.OWN) as running:
        yield running


def post(target: Target, path: str, *, attempt: str = "1") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    connection.request("POST", path, body=b"{}", headers=HEADERS | {"X-Chronos-Attempt": attempt})
    status = connection.getresponse().status
    connection.close()
    return status


def test_each_request_is_logged_with_its_instant_and_headers(target: Target) -> None:
    before = time.time_ns()
    assert post(target, "/ok") == 200
    after = time.time_ns()
    (arrival,) = target.arrivals()
    assert before <= arrival.at_ns <= after
    assert arrival[1:] == ("job", "execution", SCHEDULED_MS, 1)


def test_a_request_in_pieces_arrives_with_its_last_byte(target: Target) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = f"POST /ok HTTP/1.1\r\nContent-Length: 2\r\n{lines}\r\n{{}}".encode()
    with socket.create_connection((HOSTS[-1], target.port), timeout=10) as connection:
        for piece in (request[:40], request[40:-1]):
            connection.sendall(piece)
            time.sleep(0.05)
        last = time.time_ns()
        connection.sendall(request[-1:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    arrivals = target.arrivals()
    assert len(arrivals) == 2
    assert arrivals[0].at_ns >= last


def test_a_first_attempt_fails_where_the_path_says_so(target: Target) -> None:
    assert post(target, "/fail-first") == 500
    assert post(target, "/fail-first", attempt="2") == 200


def test_an_answer_comes_as_late_as_the_path_says_and_delays_no_other(target: Target) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as slow:
        asked = time.monotonic()
        slow.sendall(b"GET /after/2000 HTTP/1.1\r\n\r\n")
        assert post(target, "/ok") == 200
        assert time.monotonic() - asked < 2
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        assert time.monotonic() - asked >= 2

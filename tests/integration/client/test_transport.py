"""What the client sends again, how long it waits, and what it believes."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_client.errors import ApiProblem, ClientError, ServerAway
from chronos_client.transport import Transport, checked
from targets import Received, Target, raw, reply

PROBLEM = {"type": "/docs#problem-rate-limited", "title": "Too many", "detail": "Wait."}


def problem(status: int, **headers: str) -> Callable[..., None]:
    return reply(status, json.dumps({**PROBLEM, "status": status}).encode(), headers)


def in_turn(*answers: Callable[..., None]) -> Callable[..., None]:
    left = list(answers)

    def answer(target: Target, received: Received, stream: socket.socket) -> None:
        left.pop(0)(target, received, stream)

    return answer


def dropped(_target: Target, _received: Received, stream: socket.socket) -> None:
    stream.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def transport(target: Target, waits: list[float]) -> Transport:
    return Transport(target.url, "chr_key", sleep=waits.append, retry_seconds=30)


OK = reply(200, b'{"items": []}')


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_busy_server_is_asked_again_when_it_says(
    target: Target, transport: Transport, waits: list[float], status: int, method: str
) -> None:
    target.answer = in_turn(problem(status, **{"Retry-After": "7"}), OK)
    assert transport.send(method, "/jobs").content == {"items": []}
    assert waits == [7]


def test_each_post_has_a_key_of_its_own_and_the_same_when_it_is_sent_again(
    target: Target, transport: Transport
) -> None:
    target.answer = in_turn(problem(503), dropped, OK, OK)
    transport.send("POST", "/jobs")
    transport.send("POST", "/jobs")
    first, second, third, other = [each.headers["idempotency-key"] for each in target.received]
    assert first == second == third != other


def test_a_request_under_way_is_awaited_after_its_answer_was_lost(
    target: Target, transport: Transport
) -> None:
    under_way = {**PROBLEM, "detail": "The first request with this Idempotency-Key has not ended."}
    conflict = reply(409, json.dumps({**under_way, "status": 409}).encode())
    target.answer = in_turn(dropped, conflict, OK)
    assert transport.send("POST", "/jobs").status == 200
    target.answer = conflict
    with pytest.raises(ApiProblem):
        transport.send("POST", "/jobs")


def test_the_waits_have_a_bound(target: Target, transport: Transport, waits: list[float]) -> None:
    target.answer = problem(503)
    with pytest.raises(ServerAway, match="cannot answer now: Wait"):
        transport.send("GET", "/jobs")
    assert waits == [0.5, 1, 2, 4, 8]
    target.answer = problem(429, **{"Retry-After": "31"})
    with pytest.raises(ApiProblem):
        transport.send("GET", "/jobs")
    assert len(waits) == 5


def test_a_used_up_quota_is_no_reason_to_wait(
    target: Target, transport: Transport, waits: list[float]
) -> None:
    target.answer = problem(429)
    with pytest.raises(ApiProblem) as quota:
        transport.send("POST", "/jobs")
    assert (quota.value.status, waits) == (429, [])


@pytest.mark.parametrize(("method", "times"), [("PATCH", 1), ("DELETE", 1), ("GET", 6)])
def test_what_may_have_had_its_effect_is_not_sent_again(
    target: Target, transport: Transport, method: str, times: int
) -> None:
    target.answer = dropped
    with pytest.raises(ServerAway, match="does not answer"):
        transport.send(method, "/jobs/1")
    assert len(target.received) == times


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (reply(200, b"<html>"), "without a document of Chronos"),
        (reply(502, b"<html>"), "without a document of Chronos"),
        (reply(404, b'{"error": 1}'), "without a document of Chronos"),
        (reply(301, b"", {"Location": "https://x.example/"}), "points to https://x.example/"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * 9), "not answer"),
    ],
)
def test_a_server_that_is_none_of_chronos_is_said_to_be(
    target: Target, waits: list[float], answer: Callable[..., None], message: str
) -> None:
    transport = Transport(target.url, "chr_key", sleep=waits.append, retry_seconds=0)
    target.answer = answer
    with pytest.raises(ServerAway, match=message):
        transport.send("GET", "/jobs")
    assert len(target.received) == 1


def test_an_answer_has_a_bound(
    target: Target, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_client.transport._MAX_BYTES", 1000)
    target.answer = reply(200, b'"' + b"x" * 1000 + b'"')
    with pytest.raises(ServerAway, match="longer than 1000 bytes"):
        transport.send("GET", "/jobs")


def test_a_netrc_file_does_not_replace_the_key(
    target: Target, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    target.answer = OK
    transport.send("GET", "/jobs")
    assert target.received[0].headers["authorization"] == "Bearer chr_key"


def test_addresses_are_checked() -> None:
    assert checked("https://x.example/api/v1/") == "https://x.example"
    for wrong in ("x.example", "ftp://x.example", "https://", "https://a:b@x.example"):
        with pytest.raises(ClientError):
            checked(wrong)

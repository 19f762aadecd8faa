"""Targets that misbehave: each becomes its own request's result, and nothing else stops."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker import handle, header
from chronos_worker.actions import webhook
from chronos_worker.handle import KEPT_BODY_BYTES, MAX_BODY_BYTES
from chronos_worker.result import ErrorKind
from rigs import Rig, kind_of
from targets import CERTIFICATE, Target, endless, hang, raw, reply

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def tls_target(start_target: Callable[..., Target]) -> Target:
    return start_target(tls=True)


@pytest.fixture(autouse=True)
def _the_engine_goes_on(rig: Rig, start_target: Callable[..., Target]) -> Iterator[None]:
    """Whatever a target does, the next request to another one succeeds."""
    yield
    assert rig.send(start_target().url).http_status == 200
    assert rig.engine.drain(5)


def test_a_silent_target_ends_at_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = hang
    started = time.monotonic()
    result = rig.send(target.url, timeout=0.3)
    assert kind_of(result) is ErrorKind.TIMEOUT
    assert 0.3 <= time.monotonic() - started < 3
    assert 0.3 <= result.duration_seconds < 3
    outcome = rig.judge(target.url, timeout=0.1)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.error.startswith("Operation timed out after 1")


def test_a_target_that_drips_bytes_ends_at_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = endless(HEAD + b"Content-Length: 1000\r\n\r\n", b"x", pause=0.02)
    result = rig.send(target.url, timeout=0.4)
    assert kind_of(result) is ErrorKind.TIMEOUT
    assert result.http_status == 200
    assert result.body.startswith(b"x")
    assert isinstance(webhook.outcome(rig.done[-1][0], result)[0], Failed)


def test_a_target_that_drips_its_header_ends_at_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = endless(HEAD, b"X-A: b\r\n", pause=0.02)
    result = rig.send(target.url, timeout=0.4)
    assert kind_of(result) is ErrorKind.TIMEOUT


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 99999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Connection: close\r\n\r\n",
    ],
)
def test_an_endless_body_is_cut_off_and_its_status_decides(
    rig: Rig, target: Target, head: bytes
) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    target.answer = endless(HEAD + head, chunk if b"chunked" in head else b"x" * 0x4000)
    result = rig.send(target.url, timeout=20)
    assert kind_of(result) is ErrorKind.TOO_LARGE
    assert len(result.body) <= KEPT_BODY_BYTES
    assert result.truncated
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Succeeded()
    assert attempt.response
    assert attempt.response["body_truncated"] is True


def test_an_error_with_an_endless_body_is_that_error(rig: Rig, target: Target) -> None:
    target.answer = endless(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", b"x" * 0x4000)
    outcome = rig.judge(target.url, timeout=20)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.retry_after
    assert outcome.retry_after.total_seconds() == 7


def test_a_long_body_is_read_and_its_beginning_kept(rig: Rig, target: Target) -> None:
    target.answer = reply(body=b"x" * (KEPT_BODY_BYTES + 1))
    result = rig.send(target.url)
    assert result.error is None
    assert (len(result.body), result.truncated) == (KEPT_BODY_BYTES, True)


def test_a_body_of_exactly_what_is_kept_is_whole(rig: Rig, target: Target) -> None:
    target.answer = reply(body=b"x" * KEPT_BODY_BYTES)
    result = rig.send(target.url)
    assert (len(result.body), result.truncated) == (KEPT_BODY_BYTES, False)


def test_a_head_request_to_something_large_is_fine(rig: Rig, target: Target) -> None:
    target.answer = raw(HEAD + b"Content-Length: 99999999999\r\n\r\n")
    result = rig.send(target.url, method="HEAD")
    assert (result.http_status, result.error) == (200, None)


def test_a_compressed_bomb_is_not_unpacked(rig: Rig, target: Target) -> None:
    bomb = gzip.compress(bytes(50 * MAX_BODY_BYTES))
    target.answer = reply(body=bomb, headers={"Content-Encoding": "gzip"})
    result = rig.send(target.url)
    assert result.error is None
    assert result.body == bomb[:KEPT_BODY_BYTES]
    assert "accept-encoding" not in target.received[0].headers


def test_a_huge_header_is_refused(rig: Rig, target: Target) -> None:
    target.answer = endless(HEAD, b"X-Filler: " + b"y" * 8000 + b"\r\n")
    result = rig.send(target.url, timeout=20)
    assert kind_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}
    assert sum(map(len, result.header_lines)) < 512 << 10
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert attempt.response
    assert len(str(attempt.response)) < 20_000


def test_interim_responses_are_not_the_response(rig: Rig, target: Target) -> None:
    target.answer = raw(
        b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\nX-Final: 1\r\n\r\n"
    )
    result = rig.send(target.url)
    assert result.http_status == 204
    assert header.of(result.header_lines).shown == {"x-final": "1"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
    ],
)
def test_broken_http_is_a_failure_that_is_tried_again(
    rig: Rig, target: Target, data: bytes
) -> None:
    target.answer = raw(data)
    result = rig.send(target.url)
    assert kind_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


def test_a_closed_port_is_a_failure_that_is_tried_again(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = rig.send(f"http://127.0.0.1:{port}/")
    assert kind_of(result) is ErrorKind.CONNECT
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert str(port) in outcome.error
    assert attempt.response is None
    assert attempt.timing_ms
    assert attempt.timing_ms["first_byte"] == 0


def test_a_name_that_does_not_resolve_is_a_failure_that_is_tried_again(rig: Rig) -> None:
    result = rig.send("http://nowhere.invalid/")
    assert kind_of(result) is ErrorKind.DNS
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("Could not resolve host: nowhere.invalid.")


def test_a_connection_that_died_while_idle_is_replaced(rig: Rig, target: Target) -> None:
    # The answer promises to keep the connection; closing it then takes libcurl by surprise.
    target.answer = raw(HEAD + b"Content-Length: 2\r\n\r\nok")
    for _ in range(5):
        assert rig.send(target.url).http_status == 200
    assert target.connections == 5
    assert len(target.received) == 5


def test_a_certificate_that_cannot_be_verified_is_refused(rig: Rig, tls_target: Target) -> None:
    result = rig.send(tls_target.url)
    assert kind_of(result) is ErrorKind.TLS
    assert tls_target.received == []
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "certificate" in outcome.error


def test_a_job_may_do_without_verification(rig: Rig, tls_target: Target) -> None:
    result = rig.send(tls_target.url, verify_tls=False)
    assert result.http_status == 200
    assert result.timing_ms
    assert result.timing_ms["tls"] > result.timing_ms["connect"]


def test_an_unverified_connection_is_not_used_by_jobs_that_verify(
    rig: Rig, tls_target: Target
) -> None:
    assert rig.send(tls_target.url, verify_tls=False).http_status == 200
    assert kind_of(rig.send(tls_target.url)) is ErrorKind.TLS
    assert rig.send(tls_target.url, verify_tls=False).http_status == 200


def test_a_certificate_of_a_known_authority_is_accepted(
    rig: Rig, tls_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Handles are made when they are needed.
    monkeypatch.setattr(handle.certifi, "where", lambda: str(CERTIFICATE))
    assert rig.send(tls_target.url).http_status == 200


def test_plain_http_on_a_tls_port_is_a_failure(rig: Rig, tls_target: Target) -> None:
    result = rig.send(tls_target.url.replace("https", "http"))
    assert kind_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}


def test_no_proxy_of_the_environment_is_used(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert rig.send(target.url).http_status == 200

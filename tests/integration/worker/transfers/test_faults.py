"""Targets that misbehave: each becomes its own request's result, and nothing else stops."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker.actions import webhook
from chronos_worker.http import response_headers
from chronos_worker.transfers import curl_handle
from chronos_worker.transfers.curl_handle import KEPT_BODY_BYTES, MAX_BODY_BYTES
from chronos_worker.transfers.results import ErrorKind
from loopback import CERTIFICATE
from rigs import Rig, flaw_of, kind_of
from targets import Target, endless, hang, raw, reply

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
    result = rig.send(target.url, timeout=1)
    assert kind_of(result) is ErrorKind.TIMEOUT
    assert 1 <= time.monotonic() - started < 8
    assert 1 <= result.duration_seconds < 8
    assert webhook.outcome(rig.done[-1][0], result)[0] == Failed(
        "The answer was not complete within the job's timeout_seconds (1)."
    )


def test_a_target_that_drips_bytes_ends_at_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = endless(HEAD + b"Content-Length: 1000\r\n\r\n", b"x", pause=0.02)
    result = rig.send(target.url, timeout=1)
    assert kind_of(result) is ErrorKind.TIMEOUT
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("The answer was not complete within the job's timeout_seconds (1).")
    assert attempt.http_status == 200
    assert attempt.response
    assert attempt.response["body"].startswith("x")
    assert attempt.response["body_truncated"] is True


def test_a_target_that_drips_its_header_ends_at_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = endless(HEAD, b"X-A: b\r\n", pause=0.02)
    result = rig.send(target.url, timeout=1)
    assert kind_of(result) is ErrorKind.TIMEOUT
    assert isinstance(webhook.outcome(rig.done[-1][0], result)[0], Failed)


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
    assert flaw_of(result) is ErrorKind.TOO_LARGE
    assert len(result.body) <= KEPT_BODY_BYTES
    assert result.truncated
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Succeeded()
    assert attempt.response
    assert attempt.response["body_truncated"] is True
    assert attempt.response["note"] == "The answer's body is larger than 1 MiB."


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


@pytest.mark.parametrize("filler", [b"y" * 8000, b"y" * 200_000])
def test_a_huge_header_is_cut_off_and_its_status_decides(
    rig: Rig, target: Target, filler: bytes
) -> None:
    target.answer = endless(HEAD, b"X-Filler: " + filler + b"\r\n")
    result = rig.send(target.url, timeout=20)
    assert flaw_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}
    assert sum(map(len, result.header_lines)) < 512 << 10
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Succeeded()
    assert attempt.response
    assert len(str(attempt.response)) < 20_000


def test_interim_responses_are_not_the_response(rig: Rig, target: Target) -> None:
    target.answer = raw(
        b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\nX-Final: 1\r\n\r\n"
    )
    result = rig.send(target.url)
    assert result.http_status == 204
    assert response_headers.of(result.header_lines).shown == {"x-final": "1"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"hello, this is HTTP/0.9",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nno colon\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
    ],
)
def test_what_has_no_final_status_is_a_failure_that_is_tried_again(
    rig: Rig, target: Target, data: bytes
) -> None:
    target.answer = raw(data)
    result = rig.send(target.url)
    assert kind_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}
    assert result.http_status is None
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.error.startswith("The ")


ODD_HEADERS = [
    b"no colon\r\n\r\n",
    b"X-Nul: a\x00b\r\n\r\n",
    b"\x00\r\n\r\n",
    b"X-Bare: a\rb\r\n\r\n",
    b" folded before anything\r\n\r\n",
    b"Content-Length: -5\r\n\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"Transfer-Encoding: weird\xff\r\n\r\nabc",
    b"X-Long: " + b"y" * 110_000 + b"\r\n\r\n",
]
CUT_BODIES = [
    b"Content-Length: 10\r\n\r\nshort",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
]


@pytest.mark.parametrize("rest", ODD_HEADERS + CUT_BODIES)
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n"])
@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_final_status_decides_whatever_is_wrong_after_it(
    rig: Rig, target: Target, status: int, before: bytes, rest: bytes
) -> None:
    target.answer = raw(before + b"HTTP/1.1 %d Whatever\r\n" % status + rest)
    result = rig.send(target.url)
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    if status == 200:
        assert outcome == Succeeded()
    else:
        assert isinstance(outcome, Failed)
        assert outcome.permanent == (status == 404)
        assert outcome.error.startswith(f"The target answered {status} ")
    assert attempt.http_status == status
    assert attempt.response
    assert attempt.response["note"].startswith("The ")
    assert attempt.response["body_truncated"] is True
    assert attempt.response["body"] == ("short" if b"short" in rest else "")


@pytest.mark.parametrize(
    "rest",
    [
        b"\r\n",
        b"X-Folded: a\r\n b\r\n\r\n",
        b"X-Bare: a\nY-Bare: b\n\n",
        b": no name\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Set-Cookie: \xff\xfe\r\n\r\n",
        b"X-Cut: a\r\n",
        b"",
    ],
)
def test_what_is_merely_odd_is_an_answer(rig: Rig, target: Target, rest: bytes) -> None:
    target.answer = raw(HEAD + rest)
    assert rig.judge(target.url) == Succeeded()


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 OK\rX: y"])
def test_a_status_counts_although_its_reason_is_odd(rig: Rig, target: Target, line: bytes) -> None:
    target.answer = raw(line + b"\r\n\r\n")
    assert rig.judge(target.url) == Succeeded()


def test_an_odd_answer_repeats_nothing(rig: Rig, target: Target) -> None:
    assert rig.send(target.url).http_status == 200
    target.answer = raw(HEAD + b"no colon\r\n\r\n")
    assert rig.judge(target.url) == Succeeded()
    assert len(target.received) == 2


def test_a_switch_of_protocols_that_nobody_asked_for_is_no_success(
    rig: Rig, target: Target
) -> None:
    target.answer = raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    assert rig.judge(target.url) == Failed(
        "The target answered 101 Switching Protocols.", permanent=True
    )


def test_a_closed_port_is_a_failure_that_is_tried_again(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = rig.send(f"http://127.0.0.1:{port}/")
    assert kind_of(result) is ErrorKind.CONNECT
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert str(port) in outcome.error
    assert outcome.error.endswith(": Could not connect to server.")
    assert " ms" not in outcome.error
    assert attempt.response is None
    assert attempt.timing_ms
    assert attempt.timing_ms["first_byte"] == 0


def test_a_name_that_does_not_resolve_is_a_failure_that_is_tried_again(rig: Rig) -> None:
    result = rig.send("http://nowhere.invalid/")
    assert kind_of(result) is ErrorKind.DNS
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("Could not resolve host: nowhere.invalid.")


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
    monkeypatch.setattr(curl_handle.certifi, "where", lambda: str(CERTIFICATE))
    assert rig.send(tls_target.url).http_status == 200


@pytest.mark.parametrize("limit", [0.3, 10])
def test_a_target_that_never_finishes_the_handshake_ends_in_words(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    monkeypatch.setattr(curl_handle, "_CONNECT_TIMEOUT_MS", 300)
    # A plain HTTP server waits for the end of a header that never comes.
    outcome = rig.judge(target.url.replace("http", "https"), timeout=limit)
    limit_in_words = "10 seconds" if limit == 10 else "the job's timeout_seconds (0.3)"
    assert outcome == Failed(f"No connection to the target was made within {limit_in_words}.")


def test_plain_http_on_a_tls_port_is_a_failure(rig: Rig, tls_target: Target) -> None:
    result = rig.send(tls_target.url.replace("https", "http"))
    assert kind_of(result) in {ErrorKind.PROTOCOL, ErrorKind.CONNECT}


def test_no_proxy_of_the_environment_is_used(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert rig.send(target.url).http_status == 200

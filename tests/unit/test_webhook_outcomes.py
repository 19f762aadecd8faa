"""What a result means for the execution, and what the history keeps of it."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rigs
import specimens
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker.actions import webhook
from chronos_worker.request import Request
from chronos_worker.result import ErrorKind, Result, TransferError

REQUEST = rigs.request_to("https://example.com/hook")
OK = Result(started_at=specimens.MOMENT, duration_seconds=0.0125, http_status=200)


def _outcome(result: Result, request: Request = REQUEST) -> Succeeded | Failed:
    return webhook.outcome(request, result)[0]


def _attempt(result: Result) -> Attempt:
    return webhook.outcome(REQUEST, result)[1]


def _answer(status: int, *lines: bytes) -> Result:
    return OK._replace(http_status=status, header_lines=[b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n"])


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_2xx_is_success(status: int) -> None:
    assert _outcome(_answer(status)) == Succeeded()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_some_statuses_are_worth_another_attempt(status: int) -> None:
    outcome = _outcome(_answer(status))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 410, 418, 422, 499])
def test_others_are_permanent(status: int) -> None:
    outcome = _outcome(_answer(status))
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert str(status) in outcome.error


def test_the_jobs_own_list_of_statuses_replaces_2xx() -> None:
    request = rigs.request_to("https://example.com/", success_statuses=[200, 404])
    assert _outcome(_answer(404), request) == Succeeded()
    assert _outcome(_answer(201), request) == Failed(
        "The target answered 201 Created.", permanent=True
    )


def test_the_message_names_the_status_with_its_phrase_if_it_has_one() -> None:
    assert _outcome(_answer(404)) == Failed("The target answered 404 Not Found.", permanent=True)
    assert _outcome(_answer(520)) == Failed("The target answered 520.")


def test_the_target_may_say_when_to_come_back() -> None:
    outcome = _outcome(_answer(429, b"Retry-After: 120\r\n"))
    assert outcome == Failed(
        "The target answered 429 Too Many Requests.", retry_after=timedelta(seconds=120)
    )


def test_a_date_to_come_back_counts_from_the_answer() -> None:
    result = _answer(503, b"retry-after: Sun, 01 Mar 2026 12:01:00 GMT\r\n")
    outcome = _outcome(result._replace(duration_seconds=10))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after == timedelta(seconds=49.75)


def test_a_permanent_failure_does_not_come_back_whatever_the_target_says() -> None:
    outcome = _outcome(_answer(404, b"Retry-After: 120\r\n"))
    assert isinstance(outcome, Failed)
    assert outcome.permanent


@pytest.mark.parametrize(
    ("kind", "permanent"),
    [
        (ErrorKind.REFUSED_BY_EGRESS, True),
        (ErrorKind.INVALID_URL, True),
        (ErrorKind.REDIRECT, True),
        (ErrorKind.INTERNAL, True),
        (ErrorKind.DNS, False),
        (ErrorKind.CONNECT, False),
        (ErrorKind.TLS, False),
        (ErrorKind.TIMEOUT, False),
        (ErrorKind.PROTOCOL, False),
        (ErrorKind.TOO_LARGE, False),
    ],
)
def test_errors_are_permanent_when_trying_again_cannot_help(
    kind: ErrorKind, *, permanent: bool
) -> None:
    error = TransferError(kind, "It broke")
    outcome = _outcome(OK._replace(http_status=None, error=error))
    assert outcome == Failed("It broke.", permanent=permanent)


def test_an_error_after_the_status_is_still_an_error() -> None:
    result = _answer(200)._replace(error=TransferError(ErrorKind.TIMEOUT, "Too slow"))
    assert _outcome(result) == Failed("Too slow.")


def test_the_history_keeps_the_answer() -> None:
    result = OK._replace(
        header_lines=[
            b"HTTP/1.1 200 OK\r\n",
            b"Content-Type: application/json\r\n",
            b"Set-Cookie: session=1\r\n",
            b"Via: a\r\n",
            b"via: b\r\n",
            b"Location: https://e.com/?token=t\r\n",
            b"\r\n",
        ],
        body=b'{"a":1}',
        timing_ms={"total": 12.5},
    )
    assert _attempt(result) == Attempt(
        started_at=specimens.MOMENT,
        duration_ms=12,
        request=REQUEST.target.shown,
        response={
            "status": 200,
            "headers": {
                "content-type": "application/json",
                "set-cookie": "[redacted]",
                "via": "a, b",
                "location": "https://e.com/?token=[redacted]",
            },
            "body": '{"a":1}',
            "body_truncated": False,
        },
        http_status=200,
        timing_ms={"total": 12.5},
    )


def test_without_an_answer_there_is_no_response() -> None:
    error = TransferError(ErrorKind.DNS, "Could not resolve host: x")
    attempt = _attempt(OK._replace(http_status=None, error=error))
    assert attempt.response is None
    assert attempt.http_status is None


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("ü".encode(), b"text/plain", "ü"),
        ("ü".encode("latin-1"), b"text/plain; charset=ISO-8859-1", "ü"),
        (b"\x80", b"text/plain; charset=windows-1252", "€"),
        (b"a\xffb", b"text/plain", "a\ufffdb"),
        (b"a\x00b", b"text/plain", "ab"),
        (b"\xed\xa0\x80", b"text/plain", "\ufffd\ufffd\ufffd"),
        (b"+2AA-", b"text/plain; charset=utf-7", "+2AA-"),
    ],
)
def test_bodies_become_text_that_postgresql_stores(
    body: bytes, content_type: bytes, text: str
) -> None:
    result = _answer(200, b"Content-Type: " + content_type + b"\r\n")._replace(body=body)
    response = _attempt(result).response
    assert response
    assert response["body"] == text


def test_a_character_that_the_cut_divided_is_left_out() -> None:
    result = _answer(200)._replace(body="aü".encode()[:-1], truncated=True)
    response = _attempt(result).response
    assert response
    assert (response["body"], response["body_truncated"]) == ("a", True)


@given(lines=st.lists(st.binary(max_size=40), max_size=10), body=st.binary(max_size=200))
def test_whatever_a_target_sends_can_be_stored(lines: list[bytes], body: bytes) -> None:
    attempt = _attempt(OK._replace(header_lines=lines, body=body))
    text = json.dumps(attempt.response)
    assert "\\u0000" not in text
    text.encode()
    assert json.loads(text) == attempt.response
    json.dumps(attempt.response, ensure_ascii=False).encode()

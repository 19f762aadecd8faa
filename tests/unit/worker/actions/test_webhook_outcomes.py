"""What a result means for the execution, and what the history keeps of it."""

import gzip
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rigs
import specimens
from chronos_common.domain.executions import Attempt
from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker.actions import webhook
from chronos_worker.http import charsets
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.curl_handle import KEPT_BODY_BYTES
from chronos_worker.transfers.results import ErrorKind, TransferError, TransferResult

REQUEST = rigs.request_to("https://example.com/hook")
OK = TransferResult(started_at=specimens.MOMENT, duration_seconds=0.0125, http_status=200)


def _outcome(result: TransferResult, request: TransferRequest = REQUEST) -> Succeeded | Failed:
    return webhook.outcome(request, result)[0]


def _attempt(result: TransferResult) -> Attempt:
    return webhook.outcome(REQUEST, result)[1]


def _answer(status: int, *lines: bytes) -> TransferResult:
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
        "The target answered 201 Created; this job counts 200 and 404 as success.",
        permanent=True,
    )


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([302], "only 302"),
        ([302, 301], "301 and 302"),
        ([201, 202, 204], "201, 202 and 204"),
        (list(range(400, 420)), "400, 401, 402, 403, 404, 405, 406, 407, 408, 409 and others"),
    ],
)
def test_a_failure_says_which_statuses_the_job_counts_as_success(
    statuses: list[int], words: str
) -> None:
    request = rigs.request_to("https://example.com/", success_statuses=statuses)
    assert _outcome(_answer(200), request) == Failed(
        f"The target answered 200 OK; this job counts {words} as success.", permanent=True
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 423, 451, 499])
@pytest.mark.parametrize(
    ("value", "seconds"), [(b"120", 120), (b"0", 0), (b"Sun, 01 Mar 2026 12:01:00 GMT", 59.7375)]
)
def test_a_client_error_is_tried_again_if_the_target_asks_for_it(
    status: int, value: bytes, seconds: float
) -> None:
    outcome = _outcome(_answer(status, b"Retry-After: " + value + b"\r\n"))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [b"", b"soon", b"-5", b"1.5", b"12:00", b"99999999999"])
def test_what_is_no_retry_after_asks_for_nothing(value: bytes) -> None:
    outcome = _outcome(_answer(404, b"Retry-After: " + value + b"\r\n"))
    assert outcome == Failed("The target answered 404 Not Found.", permanent=True)


@pytest.mark.parametrize("status", [300, 302, 304, 201])
def test_only_errors_are_tried_again_at_the_targets_wish(status: int) -> None:
    request = rigs.request_to("https://example.com/", success_statuses=[200])
    outcome = _outcome(_answer(status, b"Retry-After: 120\r\n"), request)
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


def test_a_flaw_after_the_status_is_noted_and_decides_nothing() -> None:
    flawed = _answer(200)._replace(flaw=TransferError(ErrorKind.TIMEOUT, "Too slow"))
    assert _outcome(flawed) == Succeeded()
    response = _attempt(flawed).response
    assert response
    assert response["note"] == "Too slow."


def test_an_error_after_a_redirect_decides_and_the_redirect_is_shown() -> None:
    result = _answer(302)._replace(
        error=TransferError(ErrorKind.DNS, "No such name"), redirects=["http://e.com/?token=t"]
    )
    assert _outcome(result) == Failed("No such name.")
    response = _attempt(result).response
    assert response
    assert response["status"] == 302
    assert response["redirects"] == ["http://e.com/?token=[redacted]"]


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
        request=REQUEST.template.shown,
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


def test_the_body_is_decompressed_and_decoded() -> None:
    lines = [b"Content-Encoding: gzip\r\n", b"Content-Type: text/plain; charset=shift_jis\r\n"]
    result = _answer(200, *lines)._replace(body=gzip.compress("日本".encode("shift_jis")))
    response = _attempt(result).response
    assert response
    assert (response["body"], response["body_truncated"]) == ("日本", False)
    assert "note" not in response


def test_the_history_keeps_no_secret_of_an_answer() -> None:
    body = b'{"access_token": "hidden", "scope": "all", "next": {"password": "hidden"}}'
    response = _attempt(_answer(200)._replace(body=body)).response
    assert response is not None
    assert "hidden" not in str(response)
    assert json.loads(response["body"])["scope"] == "all"


def test_a_body_that_is_no_gzip_is_shown_as_it_came_and_the_status_decides() -> None:
    result = _answer(200, b"Content-Encoding: gzip\r\n")._replace(body=b'{"a":1}')
    assert _outcome(result) == Succeeded()
    response = _attempt(result).response
    assert response
    assert response["body"] == '{"a":1}'
    assert response["note"] == (
        "The body is not gzip, as its Content-Encoding says; it is shown as it came."
    )


def test_a_body_that_unpacks_to_too_much_is_cut_within_a_character() -> None:
    result = _answer(200, b"Content-Encoding: gzip\r\n")
    result = result._replace(body=gzip.compress(b"a" + "ü".encode() * KEPT_BODY_BYTES))
    response = _attempt(result).response
    assert response
    assert response["body_truncated"] is True
    assert response["body"] == "a" + "ü" * (KEPT_BODY_BYTES // 2 - 1)


_LINES = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda name: b"Content-Type: text/plain; charset=" + name.encode() + b"\r\n",
        st.sampled_from(sorted(charsets._KNOWN)),
    ),
    st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"?"]).map(
        lambda coding: b"Content-Encoding: " + coding + b"\r\n"
    ),
)


@given(lines=st.lists(_LINES, max_size=10), body=st.binary(max_size=200))
def test_whatever_a_target_sends_can_be_stored(lines: list[bytes], body: bytes) -> None:
    attempt = _attempt(OK._replace(header_lines=lines, body=body))
    text = json.dumps(attempt.response)
    assert "\\u0000" not in text
    text.encode()
    assert json.loads(text) == attempt.response
    json.dumps(attempt.response, ensure_ascii=False).encode()

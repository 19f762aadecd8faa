"""Redirects: how far they are followed, with what, and where they must not lead."""

from collections.abc import Callable
from socket import socket

import pytest

from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker import signing
from chronos_worker.actions import webhook
from chronos_worker.result import ErrorKind
from rigs import Rig, kind_of
from specimens import SIGNING_SECRET
from targets import Answer, Received, Target, by_path, endless, hang, reply


def _to(location: str, status: int = 302) -> Answer:
    return reply(status, b"", {"Location": location})


def _is_signed(received: Received) -> bool:
    headers = received.headers
    return headers["webhook-signature"] == signing.sign(
        SIGNING_SECRET,
        headers["webhook-id"],
        int(headers["webhook-timestamp"]),
        received.body,
    )


def test_a_redirect_is_followed_and_shown(rig: Rig, target: Target) -> None:
    target.answer = by_path({"/a": _to("/b?token=t", 307), "/b?token=t": reply(body=b"there")})
    result = rig.send(f"{target.url}/a", body={"n": 1}, headers={"X-Api-Key": "k"})
    assert (result.http_status, result.body) == (200, b"there")
    assert result.redirects == [f"{target.url}/b?token=t"]
    first, second = target.received
    assert second.method == "POST"
    assert second.body == first.body == b'{"n":1}'
    assert second.headers["x-api-key"] == "k"
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert _is_signed(second)
    _, attempt = webhook.outcome(rig.done[-1][0], result)
    assert attempt.response
    assert attempt.response["redirects"] == [f"{target.url}/b?token=[redacted]"]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
def test_the_method_follows_the_rules_of_browsers(
    rig: Rig, target: Target, status: int, method: str, then: str
) -> None:
    target.answer = by_path({"/a": _to("/b", status), "/b": reply()})
    result = rig.send(f"{target.url}/a", method=method, body=None if method == "HEAD" else "text")
    assert result.http_status == 200
    received = target.received[1]
    assert received.method == then
    assert received.body == (b"text" if then in {"POST", "PUT", "DELETE"} else b"")
    assert ("content-type" in received.headers) == bool(received.body)
    assert _is_signed(received)


def test_what_the_user_set_stays_with_the_host_that_they_named(
    rig: Rig, target: Target, start_target: Callable[..., Target]
) -> None:
    elsewhere = start_target()
    target.answer = _to(f"{elsewhere.url}/moved", 307)
    url = target.url.replace("//", "//user:secret@")
    headers = {"X-Api-Key": "k", "Cookie": "c=1", "X-Tenant": "t", "Accept": "text/html"}
    assert rig.send(url, headers=headers, body="text").http_status == 200
    first, second = target.received[0].headers, elsewhere.received[0].headers
    assert first["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert {"x-api-key", "cookie", "x-tenant"} <= first.keys()
    assert not {"authorization", "x-api-key", "cookie", "x-tenant"} & second.keys()
    assert second["accept"] == "text/html"
    assert second["content-type"] == "text/plain; charset=utf-8"
    assert second["x-chronos-attempt"] == "1"
    assert _is_signed(elsewhere.received[0])


def test_a_loop_ends(rig: Rig, target: Target) -> None:
    target.answer = _to("/again")
    result = rig.send(target.url)
    assert kind_of(result) is ErrorKind.REDIRECT
    assert len(target.received) == 6
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("The target redirected more than 5 times.", permanent=True)


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "gopher://127.0.0.1/", "dict://127.0.0.1:1/", "javascript:1"],
)
def test_a_redirect_to_what_is_not_http_is_refused(
    rig: Rig, target: Target, location: str
) -> None:
    target.answer = _to(location)
    outcome = rig.judge(target.url)
    assert outcome == Failed("The redirect does not lead to an http or https URL.", permanent=True)


@pytest.mark.parametrize(
    "location", ["http://", "http://[::", "http://a b/", "//", "http://127.0.0.1:99999999/"]
)
def test_a_redirect_to_nonsense_fails(rig: Rig, target: Target, location: str) -> None:
    target.answer = _to(location)
    outcome = rig.judge(target.url)
    assert isinstance(outcome, Failed)
    assert outcome.permanent


def test_a_redirect_does_not_lead_to_refused_addresses(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(allow="127.0.0.1/32")
    target.answer = _to("http://127.0.0.2:80/")
    result = rig.send(target.url)
    assert kind_of(result) is ErrorKind.REFUSED_BY_EGRESS
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "127.0.0.2 is not a public address" in outcome.error


def test_a_job_may_leave_redirects_alone(rig: Rig, target: Target) -> None:
    target.answer = _to("/b")
    outcome = rig.judge(target.url, follow_redirects=False)
    assert len(target.received) == 1
    assert outcome == Failed(
        "The target answered 302 Found; this job does not follow redirects.", permanent=True
    )
    assert rig.judge(target.url, follow_redirects=False, success_statuses=[302]) == Succeeded()


def test_a_redirect_without_a_place_is_an_answer(rig: Rig, target: Target) -> None:
    target.answer = reply(304, b"")
    assert rig.judge(target.url) == Failed("The target answered 304 Not Modified.", permanent=True)


def test_all_hops_share_the_jobs_timeout(rig: Rig, target: Target) -> None:
    target.answer = by_path({"/a": _slowly("/b"), "/b": hang})
    result = rig.send(f"{target.url}/a", timeout=2)
    assert kind_of(result) is ErrorKind.TIMEOUT
    assert 1.9 <= result.duration_seconds < 3


def _slowly(location: str) -> Answer:
    def answer(target: Target, received: Received, stream: socket) -> None:
        target.closing.wait(1.2)
        _to(location)(target, received, stream)

    return answer


def test_a_redirect_with_an_endless_body_is_cut_off(rig: Rig, target: Target) -> None:
    target.answer = endless(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", b"x" * 0x4000)
    assert kind_of(rig.send(target.url, timeout=20)) is ErrorKind.TOO_LARGE

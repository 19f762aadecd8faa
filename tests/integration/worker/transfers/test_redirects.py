"""Redirects: how far they are followed, with what, and where they must not lead."""

from collections.abc import Callable
from socket import socket
from urllib.parse import urlsplit

import pycurl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rigs
import specimens
from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker.actions import webhook
from chronos_worker.http import redirects, signing
from chronos_worker.http.request import HttpMessage, TransferRequest
from chronos_worker.transfers.curl_handle import CurlHandle
from chronos_worker.transfers.results import ErrorKind
from rigs import Rig, kind_of
from specimens import SIGNING_SECRET
from targets import Answer, Received, Target, by_path, endless, hang, raw, reply


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
    ("location", "reason"),
    [
        ("http://", "not lead to an http or https URL"),
        ("http:///x", "not lead to an http or https URL"),
        ("mailto:a@example.com", "not lead to an http or https URL"),
        ("data:text/plain,x", "not lead to an http or https URL"),
        ("http://[::", "malformed URL"),
        ("http://127.0.0.1:99999999/", "port must be a number"),
        ("http://127.0.0.1:port/", "port must be a number"),
        ("http://127.0.0.1:0/", "port must be a number from 1 to 65535"),
        ("http://[v1.x]/", "'[v1.x]' is not an IPv6 address"),
        # Pythons differ in how early they notice.
        ("http://[127.0.0.1]/", "The redirect "),
        ("http://[::1]x/", "The redirect "),
        ("http://example.com\\@127.0.0.1/", "names two hosts"),
        ("http://%ff/", "not as UTF-8"),
        ("http://a%2fb/", "must not contain '/'"),
        ("http://a b/", "must not contain ' '"),
        ("http://a\x01b/", "must not contain"),
        ("http://-x.example/", "hyphen"),
        ("http://b\u0378.example/", "not allowed by IDNA 2008"),
        ("http://[fe80::1%25eth0]/", "network interface"),
        ("http://" + "a" * 300 + ".example/", "DNS allows 63"),
        ("/" + "x" * 90_000, "more than 8,192 characters"),
        ("/" + "ü" * 3_000, "more than 8,192 characters"),
    ],
)
def test_a_redirect_to_nonsense_ends_with_the_reason(
    rig: Rig, target: Target, location: str, reason: str
) -> None:
    target.answer = _to(location)
    result = rig.send(target.url)
    assert kind_of(result) is ErrorKind.REDIRECT
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert reason in outcome.error
    assert attempt.http_status == 302
    assert attempt.response
    assert "location" in attempt.response["headers"] or len(location) > 1000
    assert len(target.received) == 1


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/b", "/b"),
        ("b?c=d#e", "/a/b?c=d"),
        ("../b", "/b"),
        ("?c", "/a/a?c"),
        ("/b c", "/b%20c"),
        ("/b%20c%", "/b%20c%"),
        ("/b\tc", "/bc"),
        ("/b\x01c", "/b%01c"),
        ("/bücher?ä=ö", "/b%C3%BCcher?%C3%A4=%C3%B6"),
        ("/\xc3", "/%C3%83"),
        ("/{b}|<c>", "/%7Bb%7D%7C%3Cc%3E"),
    ],
)
def test_a_location_is_followed_as_it_is_meant(
    rig: Rig, target: Target, location: str, path: str
) -> None:
    target.answer = by_path({"/a/a": _to(location), path: reply(body=b"there")})
    result = rig.send(f"{target.url}/a/a")
    assert (result.error, result.body) == (None, b"there")
    assert result.redirects == [f"{target.url}{path}"]


def test_bytes_of_a_path_that_are_no_utf8_are_sent_as_they_came(rig: Rig, target: Target) -> None:
    moved = raw(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9?\xff\r\nConnection: close\r\n\r\n")
    target.answer = by_path({"/": moved, "/caf%E9?%FF": reply(body=b"there")})
    assert rig.send(target.url).body == b"there"


def test_bytes_of_a_host_that_are_no_utf8_are_a_reason(rig: Rig, target: Target) -> None:
    target.answer = raw(b"HTTP/1.1 302 Found\r\nLocation: http://b\xfccher.example/\r\n\r\n")
    assert rig.judge(target.url) == Failed(
        "The redirect's host name is not UTF-8.", permanent=True
    )


@pytest.mark.parametrize(
    "place", ["//localhost:{port}/b", "HTTP://LOCALHOST:0{port}/b", "http://l%6Fcalhost:{port}/b"]
)
def test_a_location_may_name_another_host(rig: Rig, target: Target, place: str) -> None:
    target.answer = by_path(
        {"/a": _to(place.format(port=target.port)), "/b": reply(body=b"there")}
    )
    result = rig.send(f"{target.url}/a")
    assert result.redirects == [f"http://localhost:{target.port}/b"]
    assert result.body == b"there"


def test_a_host_in_unicode_is_looked_up_in_ascii(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        CurlHandle,
        "_constant_options",
        lambda self, old=CurlHandle._constant_options: [
            *old(self),
            (pycurl.RESOLVE, [f"xn--bcher-kva.example:{target.port}:127.0.0.1"]),
        ],
    )
    target.answer = by_path(
        {"/a": _to(f"http://BÜCHER.example:{target.port}/x"), "/x": reply(body=b"there")}
    )
    result = rig.send(f"{target.url}/a")
    assert result.body == b"there"
    assert target.received[1].headers["host"] == f"xn--bcher-kva.example:{target.port}"


def test_the_user_information_of_a_location_is_shown_to_nobody(rig: Rig, target: Target) -> None:
    moved = _to(target.url.replace("//", "//me:p%40ss@") + "/b")
    target.answer = by_path({"/a": moved, "/b": reply()})
    result = rig.send(f"{target.url}/a")
    assert result.http_status == 200
    assert target.received[1].headers["authorization"] == "Basic bWU6cEBzcw=="
    _, attempt = webhook.outcome(rig.done[-1][0], result)
    assert "p%40ss" not in str(attempt)


def test_the_whole_way_is_shown_although_its_end_gives_no_answer(
    rig: Rig, target: Target, start_target: Callable[..., Target]
) -> None:
    gone = start_target()
    gone.answer = raw(b"")
    target.answer = by_path({"/a": _to("/b", 307), "/b": _to(f"{gone.url}/c", 308)})
    result = rig.send(f"{target.url}/a")
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("The target closed the connection without an answer.")
    assert attempt.http_status == 308
    assert attempt.response
    assert attempt.response["status"] == 308
    assert attempt.response["headers"]["location"] == f"{gone.url}/c"
    assert attempt.response["redirects"] == [f"{target.url}/b", f"{gone.url}/c"]


def test_a_name_that_does_not_resolve_ends_the_way_in_words(rig: Rig, target: Target) -> None:
    target.answer = _to("http://bücher.invalid/x")
    result = rig.send(target.url)
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("Could not resolve host: xn--bcher-kva.invalid.")
    assert attempt.response
    assert attempt.response["redirects"] == ["http://xn--bcher-kva.invalid/x"]
    assert attempt.response["headers"]["location"] == "http://bücher.invalid/x"


def test_an_odd_redirect_is_followed_where_its_location_is_known(rig: Rig, target: Target) -> None:
    odd = raw(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nno colon\r\n\r\n")
    target.answer = by_path({"/a": odd, "/b": reply(body=b"there")})
    assert rig.send(f"{target.url}/a").body == b"there"


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_redirect_with_an_empty_location_is_an_answer(
    rig: Rig, target: Target, value: str
) -> None:
    target.answer = _to(value)
    assert rig.judge(target.url) == Failed(
        "The target answered 302 Found without a Location.", permanent=True
    )


_LOCATIONS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(
        lambda host, path: b"http://" + host.encode("utf-8", "surrogatepass") + b"/" + path,
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
)


@given(location=_LOCATIONS)
def test_whatever_a_location_holds_it_is_an_ascii_url_or_a_reason(location: bytes) -> None:
    request = rigs.request_to("http://example.com/a/b?c")
    found = _followed(request.message(specimens.MOMENT), request, location)
    if isinstance(found, str):
        assert found.startswith("The redirect")
        assert found.isprintable()
        return
    assert found.url.isascii()
    assert found.url.isprintable()
    assert " " not in found.url
    assert redirects.origin_of(found.url).startswith("http")
    # libcurl and Python take the same host from it.
    assert urlsplit(found.url).hostname == urlsplit(redirects.origin_of(found.url)).hostname


def _followed(
    message: HttpMessage, request: TransferRequest, location: bytes
) -> HttpMessage | str:
    """Return the next hop's message, or the reason why there is none."""
    try:
        return redirects.message_after(
            message, request, status=302, location=location, hops=0, now=specimens.MOMENT
        )
    except redirects.NotFollowed as reason:
        return str(reason)


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
    assert "of a redirect has an address that webhooks may not call" in outcome.error


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
    result = rig.send(f"{target.url}/a", timeout=3)
    assert kind_of(result) is ErrorKind.TIMEOUT
    # With a time-out of its own, the second hop would end after 5.5 s.
    assert 2.9 <= result.duration_seconds < 5.4
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("The answer was not complete within the job's timeout_seconds (3).")


def _slowly(location: str) -> Answer:
    def answer(target: Target, received: Received, stream: socket) -> None:
        target.closing.wait(2.5)
        _to(location)(target, received, stream)

    return answer


def test_a_redirect_with_an_endless_body_is_cut_off_and_followed(rig: Rig, target: Target) -> None:
    endless_one = endless(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", b"x" * 0x4000)
    target.answer = by_path({"/a": endless_one, "/b": reply(body=b"there")})
    assert rig.send(f"{target.url}/a", timeout=20).body == b"there"


def test_a_redirect_that_took_all_the_time_is_not_followed(rig: Rig, target: Target) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 9999\r\n\r\n"
    target.answer = endless(head, b"x", pause=0.02)
    result = rig.send(target.url, timeout=1)
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert outcome == Failed("The answer was not complete within the job's timeout_seconds (1).")
    assert attempt.http_status == 302
    assert len(target.received) == 1

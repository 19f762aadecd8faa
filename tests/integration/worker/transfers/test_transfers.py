"""The transfer engine against real servers: what leaves, when, and how much at once."""

import time
from collections.abc import Callable
from datetime import timedelta
from socket import socket
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rigs
from chronos_common import __version__, clock
from chronos_common.domain.urls import address
from chronos_worker.transfers import kept_connections
from rigs import Rig, request_to, wait_until
from targets import Answer, Received, Target, after, by_path, hang, reply

FORM = "application/x-www-form-urlencoded"


def test_a_request_arrives_whole(rig: Rig, target: Target) -> None:
    result = rig.send(
        f"{target.url}/hook?a=1",
        method="PUT",
        params={"b": ["2", "3"]},
        headers={"X-Thing": "yes", "X-Empty": ""},
        body={"name": "Zoë"},
    )
    (received,) = target.received
    assert (received.method, received.path) == ("PUT", "/hook?a=1&b=2&b=3")
    assert received.body == '{"name":"Zoë"}'.encode()
    execution = rig.done[-1][0].execution
    assert {
        name: value
        for name, value in received.headers.items()
        if name not in {"webhook-timestamp", "webhook-signature", "traceparent"}
    } == {
        "host": f"127.0.0.1:{target.port}",
        "user-agent": f"chronos/{__version__}",
        "accept": "*/*",
        "content-type": "application/json",
        "content-length": "15",
        "x-thing": "yes",
        "x-empty": "",
        "webhook-id": str(execution.id),
        "x-chronos-job-id": str(execution.job_id),
        "x-chronos-scheduled-for": clock.rfc3339(execution.scheduled_for),
        "x-chronos-attempt": "1",
    }
    assert (result.http_status, result.body, result.error) == (200, b"ok", None)


@pytest.mark.parametrize(
    ("payload", "content_type", "body"),
    [
        ({"body": {"zeta": 1, "a": 2}}, "application/json", b'{"zeta":1,"a":2}'),
        (
            {"body": {"z": "ü", "a": [1, True]}, "headers": {"Content-Type": FORM}},
            FORM,
            b"z=%C3%BC&a=1&a=true",
        ),
        (
            {"body": "ü", "headers": {"Content-Type": "text/plain; charset=iso-8859-1"}},
            "text/plain; charset=iso-8859-1",
            b"\xfc",
        ),
        ({"body_base64": "AP8KDQ=="}, "application/octet-stream", b"\x00\xff\n\r"),
        ({"body_base64": ""}, "application/octet-stream", b""),
        ({"body": 0, "method": "GET"}, "application/json", b"0"),
        ({"body": "ü", "method": "DELETE"}, "text/plain; charset=utf-8", "ü".encode()),
    ],
)
def test_the_bytes_that_leave_are_what_the_content_type_says(
    rig: Rig, target: Target, payload: dict[str, Any], content_type: str, body: bytes
) -> None:
    rig.send(target.url, **payload)
    (received,) = target.received
    assert received.headers["content-type"] == content_type
    assert received.headers["content-length"] == str(len(body))
    assert received.body == body


# What a person types into a URL, and escapes that stay as they are.
_PARTS = st.text("ab/.~%?&=+;:@!$'()*,|<>\"^`{}\\[]ü日", max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=_PARTS, query=st.dictionaries(_PARTS, _PARTS, max_size=3))
def test_a_url_arrives_as_it_was_written(
    rig: Rig, target: Target, path: str, query: dict[str, str]
) -> None:
    url = f"{target.url}/{path}"
    try:
        sent = address(url, query).url
    except ValueError:
        return
    assert rig.send(url, params=query).http_status == 200
    assert target.received[-1].path == sent.removeprefix(target.url)
    pairs = parse_qsl(urlsplit(sent).query, keep_blank_values=True)
    assert pairs[len(pairs) - len(query) :] == list(query.items())


def test_the_users_own_headers_replace_those_that_are_sent_otherwise(
    rig: Rig, target: Target
) -> None:
    own = {"user-agent": "mine", "accept": "text/html", "content-type": "application/xml"}
    rig.send(target.url, headers=own, body="<a/>")
    (received,) = target.received
    assert {name: received.headers[name] for name in own} == own


def test_a_request_leaves_at_its_instant_and_not_before(rig: Rig, target: Target) -> None:
    due_at = clock.now() + timedelta(seconds=0.4)
    request = request_to(target.url, at=due_at)
    rig.engine.submit([request])
    result = rig.result_of(request)
    late = target.received[0].arrived_at - due_at.timestamp()
    assert 0 <= late < 5
    assert timedelta(0) <= result.started_at - due_at < timedelta(seconds=5)


def test_requests_leave_in_the_order_of_their_instants(rig: Rig, target: Target) -> None:
    start = clock.now() + timedelta(seconds=0.2)
    requests = [
        request_to(f"{target.url}/{number}", at=start + timedelta(milliseconds=30 * number))
        for number in (3, 1, 2, 0)
    ]
    rig.engine.submit(requests)
    results = rig.wait_for(4)
    started = {result.started_at: request.template.url for request, result in rig.done}
    assert [started[at][-1] for at in sorted(started)] == ["0", "1", "2", "3"]
    assert {result.http_status for result in results} == {200}


def test_a_late_request_leaves_at_once(rig: Rig, target: Target) -> None:
    request = request_to(target.url, at=clock.now() - timedelta(minutes=1))
    rig.engine.submit([request])
    assert rig.result_of(request).http_status == 200


def test_an_idle_engine_takes_a_request_at_once(rig: Rig, target: Target) -> None:
    started = time.monotonic()
    for _ in range(40):
        rig.send(target.url)
    # It would look by itself only every half second.
    assert time.monotonic() - started < 10


def test_a_large_body_is_sent_without_asking_first(rig: Rig, target: Target) -> None:
    body = "x" * (3 << 19)
    assert rig.send(target.url, body=body).http_status == 200
    assert target.received[0].body == body.encode()
    assert "expect" not in target.received[0].headers


def test_a_connection_is_used_again(
    rig: Rig, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_connections, "MAX_IDLE_SECONDS", 60)
    for _ in range(5):
        rig.send(target.url)
    assert target.connections == 1


def test_a_handle_carries_nothing_over_from_one_request_to_the_next(
    rig: Rig, target: Target
) -> None:
    rig.send(target.url, method="POST", headers={"X-Secret": "s"}, body="x" * 10)
    rig.send(target.url, method="HEAD")
    rig.send(target.url, method="GET")
    rig.send(target.url, method="DELETE", body=[1])
    rig.send(target.url, method="POST")
    post, head, get, delete, empty = target.received
    assert [each.method for each in (post, head, get, delete, empty)] == [
        "POST",
        "HEAD",
        "GET",
        "DELETE",
        "POST",
    ]
    assert [each.body for each in (post, head, get, delete, empty)] == [
        b"x" * 10,
        b"",
        b"",
        b"[1]",
        b"",
    ]
    assert "x-secret" not in head.headers | get.headers | delete.headers | empty.headers
    assert "content-length" not in get.headers
    assert empty.headers["content-length"] == "0"
    assert "content-type" not in empty.headers


def test_no_more_than_the_limit_runs_against_one_host(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_transfers=100, max_per_host=3)
    release = Event()
    target.answer = _once(release)
    rig.engine.submit([request_to(target.url) for _ in range(20)])
    wait_until(lambda: target.busy == 3)
    assert rig.engine.unstarted == 17
    release.set()
    rig.wait_for(20)
    assert target.busiest == 3


def test_no_more_than_the_limit_runs_in_total(
    start_rig: Callable[..., Rig], start_target: Callable[..., Target]
) -> None:
    rig = start_rig(max_transfers=4, max_per_host=3)
    targets = [start_target() for _ in range(3)]
    release = Event()
    for each in targets:
        each.answer = _once(release)
    rig.engine.submit([request_to(each.url) for each in targets for _ in range(6)])
    wait_until(lambda: sum(each.busy for each in targets) == 4)
    assert rig.engine.unstarted == 14
    release.set()
    most = 0
    while len(rig.done) < 18:
        most = max(most, len(rig.engine.in_flight()))
    assert most <= 4


def test_waiting_for_a_slot_counts_as_drift_and_not_as_duration(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_per_host=1)
    target.answer = after(1)
    due_at = clock.now()
    rig.engine.submit([request_to(target.url, at=due_at) for _ in range(2)])
    first, second = rig.wait_for(2)
    assert second.started_at - due_at >= timedelta(seconds=1)
    in_all = clock.now() - due_at
    assert first.duration_seconds >= 1
    assert 1 <= second.duration_seconds <= in_all.total_seconds() - 1


def test_a_hanging_host_does_not_delay_another(
    start_rig: Callable[..., Rig], start_target: Callable[..., Target], target: Target
) -> None:
    rig = start_rig(max_transfers=100, max_per_host=5)
    hanging = start_target()
    hanging.answer = hang
    rig.engine.submit([request_to(hanging.url, timeout=30) for _ in range(50)])
    wait_until(lambda: len(hanging.received) == 5)
    rig.engine.submit([request_to(target.url) for _ in range(50)])
    assert all(result.http_status == 200 for result in rig.wait_for(50))
    assert len(hanging.received) == 5


def test_a_hanging_job_does_not_take_the_permits_of_others_on_its_host(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(max_transfers=8, max_per_host=4)
    target.answer = by_path({"/hang": hang, "/quick": reply()})
    hanging = request_to(f"{target.url}/hang", timeout=30)
    rig.engine.submit([hanging])
    wait_until(lambda: bool(target.received))
    # Once its job is known as slow, it may hold half of the host's permits, not all.
    wait_until(lambda: rig.engine._limiter._slow == 1)
    rig.engine.submit([rigs.again(hanging, after=number / 100) for number in range(1, 20)])
    wait_until(lambda: target.paths().count("/hang") == 2)
    rig.engine.submit([request_to(f"{target.url}/quick") for _ in range(20)])
    rig.wait_for(20)
    assert target.paths().count("/hang") == 2


def _once(released: Event) -> Answer:
    """Answer properly, but not before ``released``."""
    answer = reply()

    def wait_first(target: Target, received: Received, stream: socket) -> None:
        released.wait(20)
        answer(target, received, stream)

    return wait_first


def test_the_signature_is_of_the_moment_of_sending(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig()
    request = request_to(target.url, at=clock.now() - timedelta(minutes=10))
    rig.engine.submit([request])
    rig.result_of(request)
    sent = int(target.received[0].headers["webhook-timestamp"])
    assert abs(sent - time.time()) < 30

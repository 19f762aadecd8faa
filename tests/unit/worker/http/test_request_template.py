"""From a stored payload to what is sent: URL, headers, body."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

import specimens
from chronos_common.domain.executions import Extras
from chronos_common.domain.redaction import REDACTED
from chronos_common.errors import Invalid
from chronos_worker.actions import webhook
from chronos_worker.http import request_template
from chronos_worker.http.request import HttpMessage

URL = "https://example.com/hook"


def _message(payload: dict[str, Any], *, attempt: int = 1) -> HttpMessage:
    job = specimens.job({"url": URL, **payload})
    execution = specimens.claimed(job, attempt=attempt)
    return webhook.prepare(execution, job).message(specimens.MOMENT)


def _headers(message: HttpMessage) -> dict[str, str]:
    lines = b"\r\n".join(message.headers).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in fields}


def test_a_changed_default_webhook_applies_from_the_next_execution_on() -> None:
    job = specimens.job({"template": "weekly_digest"})
    for default in ("https://one.example.com/", "https://two.example.com/"):
        target = request_template.template_of(replace(job, default_webhook_url=default))
        assert (target.url, target.body) == (default, b'{"template":"weekly_digest"}')
    with pytest.raises(Invalid):
        request_template.template_of(job)


@pytest.mark.parametrize(
    ("url", "params", "sent"),
    [
        (URL, {}, URL),
        (URL, {"a": "1", "b": ["2", "3"]}, f"{URL}?a=1&b=2&b=3"),
        (f"{URL}?x=%20y", {"a": "ü &"}, f"{URL}?x=%20y&a=%C3%BC+%26"),
        (URL, {"a": 1, "b": True, "c": [1.0, ""]}, f"{URL}?a=1&b=true&c=1.0&c="),
        (f"{URL}?", {}, f"{URL}?"),
        ("http://exämple.com/ü?q=ä", {}, "http://xn--exmple-cua.com/%C3%BC?q=%C3%A4"),
        ("HTTP://u:p@Bücher.Example:080/A", {}, "http://xn--bcher-kva.example:80/A"),
        ("http://stra%C3%9Fe.example/", {}, "http://xn--strae-oqa.example/"),
        ("http://user:p%40ss@example.com:81/", {}, "http://example.com:81/"),
        ("http://[2606:4700::1]:8080/a", {}, "http://[2606:4700::1]:8080/a"),
        ('http://example.com/a|b"c<d>', {}, "http://example.com/a%7Cb%22c%3Cd%3E"),
    ],
)
def test_the_url_is_sent_in_ascii_with_the_parameters(
    url: str, params: dict[str, Any], sent: str
) -> None:
    assert _message({"url": url, "params": params}).url == sent


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ({"a": "ü", "b": None}, '{"a":"ü","b":null}'.encode(), "application/json"),
        ([1, 2.5], b"[1,2.5]", "application/json"),
        (False, b"false", "application/json"),
        ("plain ü", "plain ü".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        (None, b"", ""),
    ],
)
def test_bodies_are_json_or_text(body: Any, sent: bytes, content_type: str) -> None:
    message = _message({"body": body})
    assert message.body == sent
    assert _headers(message)["Content-Type"] == content_type


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_methods_without_a_body_send_none(method: str) -> None:
    message = _message({"method": method})
    assert message.body is None
    assert "Content-Type" not in _headers(message)


def test_the_users_own_headers_win() -> None:
    headers = {"content-type": "application/xml", "USER-AGENT": "mine", "X-Latin": "café"}
    message = _message({"body": "<a/>", "headers": headers | {"X-Empty": ""}})
    assert b"X-Empty;" in message.headers
    sent = _headers(message)
    assert sent["content-type"] == "application/xml"
    assert sent["USER-AGENT"] == "mine"
    assert sent["X-Latin"] == "café"
    assert "Content-Type" not in sent


def test_credentials_of_the_url_become_a_header() -> None:
    url = "https://user:p%40ss@example.com/"
    assert _headers(_message({"url": url}))["Authorization"] == "Basic dXNlcjpwQHNz"
    with pytest.raises(Invalid, match="Authorization"):
        _message({"url": url, "headers": {"authorization": "Bearer x"}})


def test_every_request_says_which_execution_it_is() -> None:
    job = specimens.job({"url": URL, "body": {"a": 1}})
    execution = specimens.claimed(job, attempt=3)
    message = webhook.prepare(execution, job).message(specimens.MOMENT)
    headers = _headers(message)
    assert headers["webhook-id"] == str(execution.id)
    assert headers["webhook-timestamp"] == str(int(specimens.MOMENT.timestamp()))
    assert headers["X-Chronos-Job-Id"] == str(job.id)
    assert headers["X-Chronos-Scheduled-For"] == "2026-03-01T12:00:00.250Z"
    assert headers["X-Chronos-Attempt"] == "3"
    version, trace, span, flags = headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", execution.id.hex, "01")
    assert len(span) == 16
    assert int(span, 16) > 0


def test_a_replay_says_which_execution_it_repeats_and_for_which_instant() -> None:
    job = specimens.job({"url": URL})
    plain = specimens.claimed(job)
    extras = Extras(logical_for=specimens.MOMENT - timedelta(days=1), replay_of=plain.id)
    replayed = specimens.claimed(job)._replace(extras=extras)
    headers = _headers(webhook.prepare(replayed, job).message(specimens.MOMENT))
    assert headers["webhook-id"] == str(replayed.id)
    assert headers["X-Chronos-Replay-Of"] == str(plain.id)
    assert headers["X-Chronos-Scheduled-For"] == "2026-02-28T12:00:00.250Z"
    others = _headers(webhook.prepare(plain, job).message(specimens.MOMENT))
    assert "X-Chronos-Replay-Of" not in others


def test_attempts_of_an_execution_share_its_trace_and_differ_in_the_span() -> None:
    job = specimens.job({"url": URL})
    first = specimens.claimed(job)
    second = first._replace(attempt=2)
    one, other = (
        _headers(webhook.prepare(each, job).message(specimens.MOMENT))["traceparent"].split("-")
        for each in (first, second)
    )
    assert one[1] == other[1]
    assert one[2] != other[2]


def test_a_receiver_can_verify_the_signature(time_machine: Any) -> None:
    time_machine.move_to(specimens.MOMENT, tick=False)
    message = _message({"body": {"event": "ü"}})
    assert message.body is not None
    verified = Webhook(specimens.SIGNING_SECRET).verify(message.body, _headers(message))
    assert verified == {"event": "ü"}


def test_while_a_secret_is_exchanged_a_receiver_can_verify_with_either(time_machine: Any) -> None:
    time_machine.move_to(specimens.MOMENT, tick=False)
    previous = "whsec_dGhlIHNlY3JldCBiZWZvcmU="
    job = replace(
        specimens.job({"url": "http://example.com/", "body": 1}), previous_signing_secret=previous
    )
    message = webhook.prepare(specimens.claimed(job), job).message(specimens.MOMENT)
    assert message.body is not None
    for secret in (specimens.SIGNING_SECRET, previous):
        assert Webhook(secret).verify(message.body, _headers(message)) == 1


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"url": "ftp://example.com/"}, "payload.url"),
        ({"url": "http://example.com:99999/"}, "payload.url"),
        ({"headers": {"X": "a\r\nb"}}, "payload.headers.X"),
        ({"surprise": 1}, "payload.surprise"),
        ({"url": f"http://{'ü' * 70}.example.com/"}, "payload.url"),
        ({"url": "http://ü..example.com/"}, "payload.url"),
        ({"params": {"a": "\ud800"}}, "payload.url"),
        ({"body": "\ud800"}, "payload.body"),
        ({"body": {"a": "\ud800"}}, "payload.body"),
        ({"body": {"a": float("nan")}}, "payload.body"),
    ],
)
def test_a_payload_that_cannot_be_sent_is_that_jobs_error(
    payload: dict[str, Any], named: str
) -> None:
    with pytest.raises(Invalid) as caught:
        _message(payload)
    assert named in caught.value.fields


def test_a_type_that_is_not_known_is_that_jobs_error() -> None:
    job = specimens.job({"url": URL}, "fax")
    with pytest.raises(Invalid, match="'fax' is not known here; it must be one of webhook,"):
        webhook.prepare(specimens.claimed(job), job)


def test_a_secret_that_is_none_is_that_jobs_error() -> None:
    job = replace(specimens.job({"url": URL}), signing_secret="whsec_!")
    with pytest.raises(Invalid, match="signing_secret"):
        webhook.prepare(specimens.claimed(job), job)


def test_a_target_is_built_once_and_again_when_its_job_changes() -> None:
    job = specimens.job({"url": URL, "body": {"n": 1}})
    first = request_template.template_of(job)
    assert request_template.template_of(replace(job, payload=dict(job.payload))) is first
    changed = request_template.template_of(replace(job, payload={"url": URL, "body": {"n": 2}}))
    assert changed.body == b'{"n":2}'
    assert request_template.template_of(replace(job, timeout_seconds=1)).timeout_seconds == 1


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ({"z": 1, "a": 2}, {"a": 2, "z": 1}, b'{"a":2,"z":1}'),
        ({"n": 1}, {"n": True}, b'{"n":true}'),
        ({"n": 1}, {"n": 1.0}, b'{"n":1.0}'),
    ],
)
def test_a_change_that_python_calls_equal_is_sent(
    before: dict[str, Any], after: dict[str, Any], sent: bytes
) -> None:
    job = specimens.job({"url": URL, "body": before})
    request_template.template_of(job)
    changed = replace(job, payload={"url": URL, "body": after})
    assert request_template.template_of(changed).body == sent


def test_the_history_shows_the_request_without_its_secrets() -> None:
    job = specimens.job(
        {
            "url": "https://user:pass@example.com/hook?token=t&a=1",
            "method": "put",
            "params": {"api_key": "k"},
            "headers": {"X-Tenant": "acme"},
        }
    )
    assert request_template.template_of(job).shown == {
        "method": "PUT",
        "url": f"https://example.com/hook?token={REDACTED}&a=1&api_key={REDACTED}",
        "headers": {"X-Tenant": "acme", "Authorization": REDACTED},
    }


def test_large_headers_fill_neither_the_cache_nor_the_history() -> None:
    headers = {f"X-{number}": "y" * 8000 for number in range(20)}
    job = specimens.job({"url": "https://example.com", "headers": headers})
    template = request_template.template_of(job)
    assert job.id not in request_template._cache
    assert sum(map(len, template.headers + template.private_headers)) > 160_000
    shown = template.shown["headers"]
    assert list(shown) == list(headers)
    assert shown["X-0"] == "y" * 8000
    assert shown["X-19"] == "…"
    assert sum(map(len, shown.values())) < 9000

"""Payloads: what is taken, and how every wrong field is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.payloads import TYPES, CeleryTask, Email, Webhook, mailboxes, parse
from chronos_common.errors import Invalid

HOOK = {"url": "https://example.com/hook"}
MAIL = {"to": "ops@example.com", "subject": "Report"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_a_webhook_needs_only_its_url() -> None:
    assert parse("webhook", HOOK) == Webhook("https://example.com/hook", "POST", body=b"")


@pytest.mark.parametrize("payload", [{"template": "weekly_digest"}, {"method": "GET"}, {}])
def test_a_payload_without_a_url_is_the_json_for_the_default_webhook(
    payload: dict[str, Any],
) -> None:
    default = "https://hooks.example.com/"
    assert parse("webhook", payload, default_url=default) == Webhook(
        default,
        headers={"Content-Type": "application/json"},
        body=json.dumps(payload, separators=(",", ":")).encode(),
    )
    with pytest.raises(Invalid) as caught:
        parse("webhook", payload)
    assert list(caught.value.fields) == ["payload.url"]


@pytest.mark.parametrize("url", [None, "", "example.com"])
def test_a_wrong_url_does_not_go_to_the_default_webhook(url: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse("webhook", {"url": url}, default_url="https://hooks.example.com/")
    assert list(caught.value.fields) == ["payload.url"]


def test_a_whole_webhook_is_parsed_to_what_is_sent() -> None:
    payload = HOOK | {
        "method": "put",
        "headers": {"Authorization": "Bearer x"},
        "params": {"q": "London", "n": 3, "all": True, "tag": ["a", "b"]},
        "body": {"template": "weekly_digest"},
        "success_statuses": [200, 404],
        "follow_redirects": False,
        "verify_tls": False,
    }
    assert parse("webhook", payload) == Webhook(
        url="https://example.com/hook?q=London&n=3&all=true&tag=a&tag=b",
        method="PUT",
        headers={"Authorization": "Bearer x", "Content-Type": "application/json"},
        body=b'{"template":"weekly_digest"}',
        success_statuses=[200, 404],
        follow_redirects=False,
        verify_tls=False,
    )


def test_a_single_address_is_a_list_of_one() -> None:
    parsed = parse("email", MAIL | {"body": "Hello", "cc": ["a@example.org"]})
    assert parsed == Email(["ops@example.com"], "Report", "Hello", cc=["a@example.org"])


def test_an_empty_html_is_no_alternative() -> None:
    parsed = parse("email", MAIL | {"body": "Hello", "html": ""})
    assert parsed == Email(["ops@example.com"], "Report", "Hello")


def test_a_celery_task_goes_to_its_queue() -> None:
    payload = {"task": "reports.build", "args": [1], "kwargs": {"a": 2}, "queue": "reports"}
    parsed = parse("celery_task", payload)
    assert parsed == CeleryTask("reports.build", [1], {"a": 2}, "reports")


@pytest.mark.parametrize(
    ("job_type", "payload", "field"),
    [
        ("webhook", {}, "payload.url"),
        ("webhook", {"url": 5}, "payload.url"),
        ("webhook", {"url": "ftp://example.com/"}, "payload.url"),
        ("webhook", {"url": "/hook"}, "payload.url"),
        ("webhook", {"url": "http://"}, "payload.url"),
        ("webhook", {"url": "http://[::1"}, "payload.url"),
        ("webhook", {"url": "http://example.com:99999/"}, "payload.url"),
        ("webhook", {"url": "http://example.com/a b"}, "payload.url"),
        ("webhook", {"url": "http://example.com/\r\nX: y"}, "payload.url"),
        ("webhook", {"url": "http://example.com/" + "a" * 9000}, "payload.url"),
        ("webhook", HOOK | {"method": "BREW"}, "payload.method"),
        ("webhook", HOOK | {"headers": []}, "payload.headers"),
        ("webhook", HOOK | {"headers": {"A b": "c"}}, "payload.headers.A b"),
        ("webhook", HOOK | {"headers": {"A": "b\r\nC: d"}}, "payload.headers.A"),
        ("webhook", HOOK | {"headers": {"A": 5}}, "payload.headers.A"),
        ("webhook", HOOK | {"headers": {"Webhook-Id": "x"}}, "payload.headers.Webhook-Id"),
        ("webhook", HOOK | {"headers": {f"H{n}": "" for n in range(65)}}, "payload.headers"),
        ("webhook", HOOK | {"params": {"q": {}}}, "payload.params.q"),
        ("webhook", HOOK | {"params": {"q": None}}, "payload.params.q"),
        ("webhook", HOOK | {"params": {"q": []}}, "payload.params.q"),
        ("webhook", HOOK | {"params": {"q": ["a", ["b"]]}}, "payload.params.q"),
        ("webhook", HOOK | {"params": {"q": ["a", None]}}, "payload.params.q"),
        ("webhook", HOOK | {"headers": {"X-A": "1", "x-a": "2"}}, "payload.headers.x-a"),
        ("webhook", HOOK | {"headers": {"A": " b"}}, "payload.headers.A"),
        ("webhook", HOOK | {"headers": {"A": " "}}, "payload.headers.A"),
        (
            "webhook",
            HOOK | {"body": {}, "headers": {"Content-Type": "日"}},
            "payload.headers.Content-Type",
        ),
        ("webhook", HOOK | {"method": "HEAD", "body": 0}, "payload.body"),
        ("webhook", HOOK | {"method": "HEAD", "body_base64": ""}, "payload.body_base64"),
        ("webhook", HOOK | {"body": 0, "body_base64": ""}, "payload.body_base64"),
        ("webhook", HOOK | {"body_base64": "AA"}, "payload.body_base64"),
        ("webhook", HOOK | {"body_base64": "A A="}, "payload.body_base64"),
        ("webhook", HOOK | {"body_base64": 5}, "payload.body_base64"),
        (
            "webhook",
            {"url": "https://a:b@example.com/", "headers": {"authorization": "x"}},
            "payload.headers",
        ),
        (
            "webhook",
            HOOK | {"body": "x", "headers": {"Content-Encoding": "gzip"}},
            "payload.body",
        ),
        ("webhook", HOOK | {"success_statuses": [True]}, "payload.success_statuses"),
        ("webhook", HOOK | {"success_statuses": [99]}, "payload.success_statuses"),
        ("webhook", HOOK | {"verify_tls": "no"}, "payload.verify_tls"),
        ("webhook", HOOK | {"urll": "x"}, "payload.urll"),
        ("email", {"subject": "x"}, "payload.to"),
        ("email", MAIL | {"to": []}, "payload.to"),
        ("email", MAIL | {"to": "nobody"}, "payload.to"),
        ("email", MAIL | {"to": "a@example.com\nBcc: b@example.com"}, "payload.to"),
        ("email", MAIL | {"to": ["a@example.com"] * 51}, "payload.to"),
        ("email", MAIL | {"subject": "a\r\nBcc: b@example.com"}, "payload.subject"),
        ("email", MAIL | {"subject": ""}, "payload.subject"),
        ("email", MAIL | {"subject": " \u200b"}, "payload.subject"),
        ("email", MAIL | {"to": [None]}, "payload.to.0"),
        ("email", MAIL | {"to": ["a@example.com", "b"]}, "payload.to.1"),
        ("email", MAIL | {"bcc": ["a@example.com", "ü@example.com"]}, "payload.bcc.1"),
        ("email", MAIL | {"cc": "a@b..example"}, "payload.cc"),
        ("email", MAIL | {"reply_to": ""}, "payload.reply_to"),
        ("email", MAIL | {"body": "\x00"}, "payload.body"),
        ("email", MAIL | {"reply_to": "x"}, "payload.reply_to"),
        ("celery_task", {}, "payload.task"),
        ("celery_task", {"task": "a b"}, "payload.task"),
        ("celery_task", {"task": ""}, "payload.task"),
        ("celery_task", {"task": "\u200b"}, "payload.task"),
        ("celery_task", {"task": "ü" * 128}, "payload.task"),
        ("celery_task", {"task": "a", "queue": ""}, "payload.queue"),
        ("celery_task", {"task": "a", "queue": " "}, "payload.queue"),
        ("celery_task", {"task": "a", "queue": "unacked"}, "payload.queue"),
        ("celery_task", {"task": "a", "queue": "_kombu.binding.celery"}, "payload.queue"),
        ("celery_task", {"task": "a", "args": {}}, "payload.args"),
    ],
)
def test_a_wrong_field_is_named(job_type: str, payload: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(job_type, payload)
    assert list(caught.value.fields) == [field]


def test_all_wrong_fields_are_named_together() -> None:
    with pytest.raises(Invalid) as caught:
        parse("webhook", {"method": 1, "headers": {"\n": "x"}, "x": 1})
    assert set(caught.value.fields) == {
        "payload.url",
        "payload.method",
        "payload.headers.\n",
        "payload.x",
    }


FIELDS = (
    "url method headers params body success_statuses follow_redirects verify_tls "
    "body_base64 to cc bcc subject html reply_to task args kwargs queue"
)


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(st.sampled_from(FIELDS.split()), JSON))
def test_nothing_that_json_can_say_breaks_the_parser(
    job_type: str, payload: dict[str, Any]
) -> None:
    wrong: dict[str, list[str]] = {}
    try:
        parse(job_type, payload)
    except Invalid as error:
        wrong = error.fields
    assert all(name.startswith("payload.") for name in wrong)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("日本", "Must not contain '日': HTTP has Latin-1"),
        ("a\r\nb", "Must not contain line breaks."),
        ("a\x07", "Must not contain the control character U+0007."),
        (" a", "Must not begin or end with white space"),
        ("a" * 9000, "At most 8192 characters"),
        (5, "Must be a string."),
    ],
)
def test_an_error_of_a_header_states_the_rule_that_was_broken(value: object, rule: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse("webhook", HOOK | {"headers": {"X": value}})
    [message] = caught.value.fields["payload.headers.X"]
    assert message.startswith(rule)


def test_both_headers_are_named_that_http_calls_the_same() -> None:
    with pytest.raises(Invalid, match=r"'X-A' and 'x-a'"):
        parse("webhook", HOOK | {"headers": {"X-A": "1", "x-a": "2"}})


@pytest.mark.parametrize(
    "subject",
    [
        "Rapport\N{NO-BREAK SPACE}: 5\N{NARROW NO-BREAK SPACE}€",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\N{FAMILY}\u200d\N{WOMAN} \u2069\u200f ok",
        "soft\u00adhyphen",
        "\U000e0041 tag",
    ],
)
def test_a_subject_may_hold_whatever_people_write_in_a_line(subject: str) -> None:
    email = parse("email", MAIL | {"subject": subject})
    assert isinstance(email, Email)
    assert email.subject == subject


@pytest.mark.parametrize("task", ["reports.build", "send-report", "shop:report", "1st", "größe"])
def test_a_task_may_have_any_name_that_celery_takes(task: str) -> None:
    parsed = parse("celery_task", {"task": task, "queue": "worker1@host.dq2"})
    assert parsed == CeleryTask(task, queue="worker1@host.dq2")


def test_addresses_are_parsed_to_what_every_server_takes() -> None:
    email = parse(
        "email",
        MAIL
        | {"to": "A@Bücher.example", "bcc": ["b@例え.テスト"], "reply_to": "c@straße.example"},
    )
    assert isinstance(email, Email)
    assert email.to == ["A@xn--bcher-kva.example"]
    assert email.bcc == ["b@xn--r8jz45g.xn--zckzah"]
    assert email.reply_to == "c@xn--strae-oqa.example"


def test_each_mailbox_is_there_once() -> None:
    email = Email(
        to=["a@example.com", "a@EXAMPLE.com", "A@example.com"],
        subject="",
        cc=["a@example.com", "b@bücher.example"],
        bcc=["b@xn--bcher-kva.example", "ü@old.example"],
    )
    assert mailboxes(email) == (
        "a@example.com",
        "A@example.com",
        "b@xn--bcher-kva.example",
        "ü@old.example",
    )

"""Payloads: what is taken, and how every wrong field is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.payloads import CeleryTask, Email, Webhook, is_email_address, parse
from chronos_common.domain.statuses import JobType
from chronos_common.errors import Invalid

HOOK = {"url": "https://example.com/hook"}
MAIL = {"to": "ops@example.com", "subject": "Report"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_a_webhook_needs_only_its_url() -> None:
    assert parse(JobType.WEBHOOK, HOOK) == Webhook(
        "https://example.com/hook", "POST", success_statuses=[]
    )


@pytest.mark.parametrize("payload", [{"template": "weekly_digest"}, {"method": "GET"}, {}])
def test_a_payload_without_a_url_is_the_json_for_the_default_webhook(
    payload: dict[str, Any],
) -> None:
    default = "https://hooks.example.com/"
    assert parse(JobType.WEBHOOK, payload, default_url=default) == Webhook(default, body=payload)
    with pytest.raises(Invalid) as caught:
        parse(JobType.WEBHOOK, payload)
    assert list(caught.value.fields) == ["payload.url"]


@pytest.mark.parametrize("url", [None, "", "example.com"])
def test_a_wrong_url_does_not_go_to_the_default_webhook(url: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse(JobType.WEBHOOK, {"url": url}, default_url="https://hooks.example.com/")
    assert list(caught.value.fields) == ["payload.url"]


def test_a_whole_webhook_is_taken_as_written() -> None:
    payload = HOOK | {
        "method": "put",
        "headers": {"Authorization": "Bearer x"},
        "params": {"q": "London", "n": 3, "all": True, "tag": ["a", "b"]},
        "body": {"template": "weekly_digest"},
        "success_statuses": [200, 404],
        "follow_redirects": False,
        "verify_tls": False,
    }
    assert parse(JobType.WEBHOOK, payload) == Webhook(
        url="https://example.com/hook",
        method="PUT",
        headers={"Authorization": "Bearer x"},
        params={"q": "London", "n": "3", "all": "true", "tag": ["a", "b"]},
        body={"template": "weekly_digest"},
        success_statuses=[200, 404],
        follow_redirects=False,
        verify_tls=False,
    )


def test_a_single_address_is_a_list_of_one() -> None:
    parsed = parse(JobType.EMAIL, MAIL | {"body": "Hello", "cc": ["a@example.org"]})
    assert parsed == Email(["ops@example.com"], "Report", "Hello", cc=["a@example.org"])


def test_a_celery_task_goes_to_its_queue() -> None:
    payload = {"task": "reports.build", "args": [1], "kwargs": {"a": 2}, "queue": "reports"}
    parsed = parse(JobType.CELERY_TASK, payload)
    assert parsed == CeleryTask("reports.build", [1], {"a": 2}, "reports")


@pytest.mark.parametrize(
    ("job_type", "payload", "field"),
    [
        (JobType.WEBHOOK, {}, "payload.url"),
        (JobType.WEBHOOK, {"url": 5}, "payload.url"),
        (JobType.WEBHOOK, {"url": "ftp://example.com/"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "/hook"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://[::1"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://example.com:99999/"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://example.com/a b"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://example.com/\r\nX: y"}, "payload.url"),
        (JobType.WEBHOOK, {"url": "http://example.com/" + "a" * 9000}, "payload.url"),
        (JobType.WEBHOOK, HOOK | {"method": "BREW"}, "payload.method"),
        (JobType.WEBHOOK, HOOK | {"headers": []}, "payload.headers"),
        (JobType.WEBHOOK, HOOK | {"headers": {"A b": "c"}}, "payload.headers.A b"),
        (JobType.WEBHOOK, HOOK | {"headers": {"A": "b\r\nC: d"}}, "payload.headers.A"),
        (JobType.WEBHOOK, HOOK | {"headers": {"A": 5}}, "payload.headers.A"),
        (JobType.WEBHOOK, HOOK | {"headers": {"Webhook-Id": "x"}}, "payload.headers.Webhook-Id"),
        (JobType.WEBHOOK, HOOK | {"headers": {f"H{n}": "" for n in range(65)}}, "payload.headers"),
        (JobType.WEBHOOK, HOOK | {"params": {"q": {}}}, "payload.params.q"),
        (JobType.WEBHOOK, HOOK | {"success_statuses": [True]}, "payload.success_statuses"),
        (JobType.WEBHOOK, HOOK | {"success_statuses": [99]}, "payload.success_statuses"),
        (JobType.WEBHOOK, HOOK | {"verify_tls": "no"}, "payload.verify_tls"),
        (JobType.WEBHOOK, HOOK | {"urll": "x"}, "payload.urll"),
        (JobType.EMAIL, {"subject": "x"}, "payload.to"),
        (JobType.EMAIL, MAIL | {"to": []}, "payload.to"),
        (JobType.EMAIL, MAIL | {"to": "nobody"}, "payload.to"),
        (JobType.EMAIL, MAIL | {"to": "a@example.com\nBcc: b@example.com"}, "payload.to"),
        (JobType.EMAIL, MAIL | {"to": ["a@example.com"] * 51}, "payload.to"),
        (JobType.EMAIL, MAIL | {"subject": "a\r\nBcc: b@example.com"}, "payload.subject"),
        (JobType.EMAIL, MAIL | {"body": "\x00"}, "payload.body"),
        (JobType.EMAIL, MAIL | {"reply_to": "x"}, "payload.reply_to"),
        (JobType.CELERY_TASK, {}, "payload.task"),
        (JobType.CELERY_TASK, {"task": "a b"}, "payload.task"),
        (JobType.CELERY_TASK, {"task": "a", "queue": " "}, "payload.queue"),
        (JobType.CELERY_TASK, {"task": "a", "queue": "unacked"}, "payload.queue"),
        (JobType.CELERY_TASK, {"task": "a", "queue": "_kombu.binding.celery"}, "payload.queue"),
        (JobType.CELERY_TASK, {"task": "a", "args": {}}, "payload.args"),
    ],
)
def test_a_wrong_field_is_named(job_type: JobType, payload: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(job_type, payload)
    assert list(caught.value.fields) == [field]


def test_all_wrong_fields_are_named_together() -> None:
    with pytest.raises(Invalid) as caught:
        parse(JobType.WEBHOOK, {"method": 1, "headers": {"\n": "x"}, "x": 1})
    assert set(caught.value.fields) == {
        "payload.url",
        "payload.method",
        "payload.headers.\n",
        "payload.x",
    }


FIELDS = (
    "url method headers params body success_statuses follow_redirects verify_tls "
    "to cc subject html reply_to task args kwargs queue"
)


@given(st.sampled_from(JobType), st.dictionaries(st.sampled_from(FIELDS.split()), JSON))
def test_nothing_that_json_can_say_breaks_the_parser(
    job_type: JobType, payload: dict[str, Any]
) -> None:
    wrong: dict[str, list[str]] = {}
    try:
        parse(job_type, payload)
    except Invalid as error:
        wrong = error.fields
    assert all(name.startswith("payload.") for name in wrong)


@given(st.text())
def test_an_address_that_is_taken_is_one_safe_line(text: str) -> None:
    if is_email_address(text):
        assert text.isprintable()
        assert text.count("@") >= 1
        assert " " not in text

"""Secrets in payloads: hidden in answers, put back where an answer is sent back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_api.jobs.definition.secrets import restored, shown
from chronos_common.domain.payloads import EMAIL, TYPES
from chronos_common.domain.payloads.fields import ANY_JSON, PayloadField, String, redacted
from chronos_common.domain.redaction import REDACTED, is_secret

STORED = {
    "url": "https://user:hidden@example.com:8443/hook?token=hidden&page=2",
    "headers": {
        "Authorization": "Bearer hidden",
        "X-Team": "mail",
        "Referer": "https://a.b/?key=hidden",
    },
    "params": {"api_key": "hidden", "q": "London"},
    "body": {"user": {"name": "ada", "password": "hidden"}, "keys": [{"api_key": "hidden"}]},
}
HIDDEN_BODY = {"user": {"name": "ada", "password": REDACTED}, "keys": [{"api_key": REDACTED}]}


def test_headers_parameters_and_url_hide_their_secrets() -> None:
    answer = shown("webhook", STORED)
    assert answer == {
        "url": f"https://{REDACTED}@example.com:8443/hook?token={REDACTED}&page=2",
        "headers": {
            "Authorization": REDACTED,
            "X-Team": "mail",
            "Referer": f"https://a.b/?key={REDACTED}",
        },
        "params": {"api_key": REDACTED, "q": "London"},
        "body": HIDDEN_BODY,
    }


def test_a_payload_for_the_default_webhook_hides_its_secrets() -> None:
    stored = {"to": "ada", "deep": [{"token": "hidden"}], "password": "hidden"}
    answer = shown("webhook", stored)
    assert answer == {"to": "ada", "deep": [{"token": REDACTED}], "password": REDACTED}
    assert restored("webhook", answer, stored) == (stored, {})
    assert restored("webhook", answer, STORED)[1].keys() == {"payload.deep", "payload.password"}


@pytest.mark.parametrize("field", ["args", "kwargs"])
def test_the_arguments_of_a_task_hide_their_secrets(field: str) -> None:
    values: Any = {"token": "hidden", "n": 1}
    stored = {"task": "a.b", field: [values] if field == "args" else values}
    answer = shown("celery_task", stored)
    assert "hidden" not in str(answer)
    assert restored("celery_task", answer, stored) == (stored, {})


@pytest.mark.parametrize("body", ['{"a": {"token": "hidden"}}', "client_secret=hidden&a=1"])
def test_a_body_that_is_written_as_text_hides_its_secrets(body: str) -> None:
    stored = {"url": STORED["url"], "body": body}
    answer = shown("webhook", stored)
    assert "hidden" not in str(answer)
    assert restored("webhook", answer, stored) == (stored, {})
    changed = {**answer, "body": answer["body"] + " "}
    assert restored("webhook", changed, stored)[1].keys() == {"payload.body"}


def test_a_body_may_be_changed_beside_its_secrets() -> None:
    body = {"user": {"name": "bob", "password": REDACTED}, "keys": HIDDEN_BODY["keys"]}
    result, faults = restored("webhook", {"url": STORED["url"], "body": body}, STORED)
    assert faults == {}
    assert result["body"] == {
        "user": {"name": "bob", "password": "hidden"},
        "keys": [{"api_key": "hidden"}],
    }


def test_what_has_no_stored_secret_is_a_fault_at_its_place() -> None:
    body = {"user": {"token": REDACTED}, "keys": [*HIDDEN_BODY["keys"], {"n": 1}]}
    _, faults = restored("webhook", {"url": STORED["url"], "body": body}, STORED)
    assert faults.keys() == {"payload.body.user.token", "payload.body.keys"}


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), ([0, 1], [False, 1])])
def test_a_parameter_that_python_calls_equal_is_changed(before: Any, after: Any) -> None:
    payload = {"url": "https://example.com/", "params": {"n": after}}
    stored = {"url": "https://example.com/", "params": {"n": before}}
    assert repr(restored("webhook", payload, stored)) == repr((payload, {}))


def test_other_types_are_shown_as_they_are() -> None:
    mail = {"to": ["a@example.com"], "subject": "token"}
    assert shown("email", mail) == mail


def test_an_answer_that_comes_back_means_what_is_stored() -> None:
    assert restored("webhook", shown("webhook", STORED), STORED) == (STORED, {})


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/hook",
        "http://example.com:8443/hook",
        "https://example.com/hook",
        "https://example.com:8443.evil.example/hook",
        "https://example.com:8443@evil.example/hook",
        "https://[::1/",
        5,
        None,
    ],
)
def test_secrets_are_not_put_back_for_another_origin(url: object) -> None:
    result, faults = restored("webhook", {**shown("webhook", STORED), "url": url}, STORED)
    assert "hidden" not in str(result)
    assert faults.keys() == {
        "payload.body.user.password",
        "payload.body.keys",
        "payload.headers.Authorization",
        "payload.headers.Referer",
        "payload.params.api_key",
    }


def test_a_url_that_is_redacted_only_in_part_is_a_fault() -> None:
    other_path = f"https://{REDACTED}@example.com:8443/other"
    for stored in (STORED, None):
        assert "payload.url" in restored("webhook", {"url": other_path}, stored)[1]


def test_there_is_nothing_to_put_back_for_a_new_header() -> None:
    payload = {"url": STORED["url"], "headers": {"X-Token": REDACTED, "X-Note": REDACTED}}
    result, faults = restored("webhook", payload, STORED)
    assert faults.keys() == {"payload.headers.X-Token"}
    assert result["headers"]["X-Note"] == REDACTED


def test_what_the_default_webhook_got_is_no_secret_of_another_url() -> None:
    stored = {"headers": {"Authorization": "Bearer hidden"}}
    payload = {"url": STORED["url"], "headers": {"Authorization": "Bearer other"}}
    assert restored("webhook", payload, stored) == (payload, {})
    payload["headers"] = {"Authorization": REDACTED}
    assert restored("webhook", payload, stored)[1].keys() == {"payload.headers.Authorization"}


def test_a_type_that_is_not_known_shows_nothing() -> None:
    assert shown("fax", {"number": 1, "pin": "hidden"}) == {"number": REDACTED, "pin": REDACTED}


@pytest.fixture
def fax(monkeypatch: pytest.MonkeyPatch) -> str:
    """A type with a secret as a whole, which goes to the server that ``gateway`` names."""
    fields = [PayloadField("gateway", String()), PayloadField("pin", ANY_JSON, redact=redacted)]
    changes: dict[str, Any] = {"name": "fax", "fields": fields, "destination": "gateway"}
    monkeypatch.setitem(TYPES, "fax", replace(EMAIL, **changes))
    return "fax"


@pytest.mark.parametrize("pin", ["hidden", {"code": 1}])
def test_a_secret_as_a_whole_goes_back_to_the_same_server_only(fax: str, pin: Any) -> None:
    stored = {"gateway": "https://fax.example/a", "pin": pin}
    answer = shown(fax, stored)
    assert answer["pin"] == REDACTED
    assert restored(fax, answer, stored) == (stored, {})
    assert restored(fax, {**answer, "gateway": "https://fax.example/b"}, stored)[0]["pin"] == pin
    moved = {**answer, "gateway": "https://elsewhere.example/a"}
    result, faults = restored(fax, moved, stored)
    assert (result, faults.keys()) == (moved, {"payload.pin"})
    assert restored(fax, {"pin": REDACTED}, None)[1].keys() == {"payload.pin"}
    assert restored(fax, {"pin": {"code": 2}}, stored) == ({"pin": {"code": 2}}, {})


def test_a_new_value_replaces_the_secret() -> None:
    payload = {"url": STORED["url"], "headers": {"Authorization": "Bearer other"}}
    assert restored("webhook", payload, STORED) == (payload, {})


names = st.sampled_from(["Authorization", "X-Team", "Cookie", "q", "Location"])
values = st.sampled_from(["", "plain", "https://u:p@h/?key=v", REDACTED + "!"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "plain", "token=v"]),
    lambda inner: st.lists(inner) | st.dictionaries(names | st.just("token"), inner),
    max_leaves=10,
)


@given(
    headers=st.dictionaries(names, values),
    params=st.dictionaries(names, values | st.lists(values)),
    url=st.sampled_from(["https://h/", "https://u:p@h/", "http://h/?token=t&a=b"]),
    body=json_values,
)
def test_whatever_is_stored_survives_a_round_trip(
    headers: dict[str, str], params: dict[str, Any], url: str, body: Any
) -> None:
    stored = {"url": url, "headers": headers, "params": params, "body": body}
    answer = shown("webhook", stored)
    assert restored("webhook", answer, stored) == (stored, {})
    for name in headers:
        if is_secret(name):
            assert answer["headers"][name] == REDACTED

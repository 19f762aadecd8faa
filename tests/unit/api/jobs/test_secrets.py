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
    "body": {"password": "in a body, which is the user's own"},
}


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
        "body": STORED["body"],
    }


def test_a_payload_for_the_default_webhook_is_the_users_own() -> None:
    payload = {"headers": {"Authorization": REDACTED}, "params": {"api_key": "shown"}}
    assert shown("webhook", payload) == payload
    assert restored("webhook", payload, STORED) == (payload, {})


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
    assert "hidden" not in str({**result, "body": None})
    assert faults.keys() == {
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


@given(
    headers=st.dictionaries(names, values),
    params=st.dictionaries(names, values | st.lists(values)),
    url=st.sampled_from(["https://h/", "https://u:p@h/", "http://h/?token=t&a=b"]),
)
def test_whatever_is_stored_survives_a_round_trip(
    headers: dict[str, str], params: dict[str, Any], url: str
) -> None:
    stored = {"url": url, "headers": headers, "params": params}
    answer = shown("webhook", stored)
    assert restored("webhook", answer, stored) == (stored, {})
    for name in headers:
        if is_secret(name):
            assert answer["headers"][name] == REDACTED

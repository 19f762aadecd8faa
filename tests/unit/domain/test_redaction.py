import json
import time
from typing import Any

import pytest

from chronos_common.domain import redaction
from chronos_common.domain.redaction import REDACTED


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "X-API-KEY",
        "apikey",
        "api_key",
        "access_token",
        "accessToken",
        "X-Auth",
        "X-Auth-Token",
        "client_secret",
        "X-Hub-Signature-256",
        "webhook-signature",
        "sig",
        "key",
        "x-functions-key",
        "Ocp-Apim-Subscription-Key",
        "password",
        "passwd",
        "pwd",
        "sessionid",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
    ],
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert redaction.header(name, "value") == REDACTED
    assert json.loads(redaction.text(json.dumps({name: "value"}))) == {name: REDACTED}


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "X-Author",
        "X-Request-Id",
        "Idempotency-Key",
        "webhook-id",
        "User-Agent",
        "design",
        "monkey",
        "passenger",
        "opinion",
    ],
)
def test_what_is_no_secret_is_shown(name: str) -> None:
    assert redaction.header(name, "value") == "value"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a?b=c", "https://example.com/a?b=c"),
        ("https://example.com/a?b=c&token=x&d", "https://example.com/a?b=c&token=[redacted]&d"),
        ("https://user:pass@example.com:8/", "https://[redacted]@example.com:8/"),
        (
            "https://user@example.com/?api_key=1",
            "https://[redacted]@example.com/?api_key=[redacted]",
        ),
        ("https://a@b@example.com/", "https://[redacted]@example.com/"),
        ("/relative?sig=1#there", "/relative?sig=[redacted]#there"),
        ("http://[::", REDACTED),
        ("", ""),
    ],
)
def test_urls_lose_their_secrets_and_nothing_else(url: str, shown: str) -> None:
    assert redaction.url(url) == shown


def test_headers_keep_their_names_and_urls_among_them_are_looked_into() -> None:
    assert redaction.headers(
        {"Authorization": "Bearer x", "Location": "https://e.com/?token=1", "Server": "nginx"}
    ) == {
        "Authorization": REDACTED,
        "Location": "https://e.com/?token=[redacted]",
        "Server": "nginx",
    }


@pytest.mark.parametrize(
    "value", ["HTTP://Example.com", "https://example.com/?", "https://example.com/a?b=&c#", "x"]
)
def test_a_url_without_secrets_is_shown_as_it_was_written(value: str) -> None:
    assert redaction.url(value) == value


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"password": "p", "user": {"apiKey": 7}}, {"password": "H", "user": {"apiKey": "H"}}),
        ({"a": [{"token": ["x", "y"]}]}, {"a": [{"token": "H"}]}),
        ({"credentials": {"user": "u"}}, {"credentials": "H"}),
        ({"private key": "k", "client.secret": "s"}, {"private key": "H", "client.secret": "H"}),
    ],
)
def test_secret_members_of_json_are_replaced_at_any_depth(body: Any, shown: Any) -> None:
    hidden = json.loads(json.dumps(shown).replace('"H"', json.dumps(REDACTED)))
    assert redaction.json_value(body) == hidden
    assert json.loads(redaction.text(json.dumps(body))) == hidden


@pytest.mark.parametrize(
    "body",
    [
        {"has_password": True, "token": None, "secrets": [], "otp": ""},
        {"max_tokens": 256},
        [1],
        "x",
    ],
)
def test_what_cannot_be_a_secret_is_shown(body: Any) -> None:
    assert redaction.json_value(body) == body
    written = json.dumps(body, indent=3)
    assert redaction.text(written) == written


@pytest.mark.parametrize(
    "text",
    [
        '{"user": "ada", "password": "hidden", "n": [1, {"token" :"hidden',
        '{"token": "hid\\"den", "a": 1} {"token": "hidden"}',
        '{"a": 1}\n{"secret": hidden}\n',
        '{"session": {"id": "hidden", "more',
        '{"api_key": 12345hidden, "b": tru',
        "grant_type=password&client_secret=hidden&password=hidden",
        "[" * 100_000 + '{"token": "hidden"}',
    ],
)
def test_text_that_is_no_whole_json_value_hides_its_secrets_too(text: str) -> None:
    shown = redaction.text(text)
    assert "hid" not in shown
    assert REDACTED in shown
    assert shown.startswith(text[:2])


@pytest.mark.parametrize("text", ["token", "the key is under the mat", "a=b&c", "<a token='x'>"])
def test_other_text_is_shown_as_it_is(text: str) -> None:
    assert redaction.text(text) == text


@pytest.mark.parametrize("unit", ['\\"', '"', '"token":', '"token":{', "token=", '"token":"\\'])
def test_the_time_for_a_text_grows_with_its_length(unit: str) -> None:
    """A quadratic search would take minutes, so that a generous bound tells."""
    text = '"token"' + unit * (400_000 // len(unit))
    started = time.process_time()
    redaction.text(text)
    assert time.process_time() - started < 10


def test_the_fragment_of_a_url_is_redacted_as_its_query_is() -> None:
    assert redaction.url("https://h/#access_token=t&a=b") == (
        f"https://h/#access_token={REDACTED}&a=b"
    )


def test_long_names_are_not_cached() -> None:
    """Users write them, and thousands of 256 KiB would fill the memory."""
    before = redaction._cached.cache_info().currsize
    assert redaction.is_secret("x" * 1000 + "-password")
    assert not redaction.is_secret("x" * 1000)
    assert redaction._cached.cache_info().currsize == before

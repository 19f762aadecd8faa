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

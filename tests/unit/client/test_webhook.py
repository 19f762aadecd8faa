"""Webhooks are verified as Standard Webhooks says."""

import pytest
from standardwebhooks import Webhook

from chronos_client import webhook
from chronos_client.errors import ClientError, SignatureInvalid
from chronos_worker.http import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_dGhpcyBpcyBhbm90aGVyIHNlY3JldA=="
BODY = b'{"template": "weekly_digest"}'
ID = "01a1fc07-cd2e-855a-80f7-1de22a6e2aa3"
AT = 1_764_000_000


def headers(secret: str = SECRET, at: int = AT, body: bytes = BODY) -> dict[str, str]:
    return {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": signing.sign(secret, ID, at, body),
    }


def test_what_chronos_signs_is_verified() -> None:
    assert webhook.verify(SECRET, headers(), BODY, now=AT) == ID


def test_one_of_several_secrets_and_signatures_suffices() -> None:
    both = headers()
    both["Webhook-Signature"] = f"v1,bm9uZQ== {both['Webhook-Signature']}"
    assert webhook.verify([OTHER, SECRET], both, BODY, now=AT) == ID


@pytest.mark.parametrize(
    ("secret", "sent", "body", "now"),
    [
        (OTHER, headers(), BODY, AT),
        (SECRET, headers(), BODY + b" ", AT),
        (SECRET, headers(), BODY, AT + 301),
        (SECRET, headers(), BODY, AT - 301),
        (SECRET, headers() | {"Webhook-Timestamp": "١٢٣"}, BODY, AT),
        (SECRET, headers() | {"Webhook-Signature": "v1,é"}, BODY, AT),
        (SECRET, headers() | {"Webhook-Id": ""}, BODY, AT),
        (SECRET, {}, BODY, AT),
        (SECRET, headers() | {"Webhook-Signature": " ".join(["v1,bm9uZQ=="] * 50)}, BODY, AT),
    ],
)
def test_everything_else_is_refused(
    secret: str, sent: dict[str, str], body: bytes, now: int
) -> None:
    with pytest.raises(SignatureInvalid):
        webhook.verify(secret, sent, body, now=now)


def test_the_tolerance_is_the_callers() -> None:
    assert webhook.verify(SECRET, headers(), BODY, now=AT + 900, tolerance_seconds=1000) == ID


def test_a_secret_that_is_none_is_named() -> None:
    with pytest.raises(ClientError, match="begins with 'whsec_'"):
        webhook.verify("not a secret!", headers(), BODY, now=AT)


def test_the_reference_implementation_agrees() -> None:
    sent = {name.lower(): value for name, value in headers().items()}
    reference = Webhook(SECRET).sign(ID, _moment(), BODY.decode())
    assert sent["webhook-signature"] == reference


def _moment():
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    return datetime.fromtimestamp(AT, UTC)

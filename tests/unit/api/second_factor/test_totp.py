"""One-time passwords, by the examples of their RFCs."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from chronos_api.second_factor import totp

#: The secret of RFC 4226, appendix D, and RFC 6238, appendix B.
SECRET = b"12345678901234567890"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_examples_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_at(SECRET, totp.step_of(moment)) == code


def test_the_examples_of_rfc_4226() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314"]
    assert [totp.code_at(SECRET, step) for step in range(5)] == codes


def test_a_clock_may_differ_by_one_step() -> None:
    step = totp.step_of(NOW)
    code = totp.code_at(SECRET, step)
    moments = [NOW + late * timedelta(seconds=totp.STEP_SECONDS) for late in range(-2, 3)]
    found = [totp.matching_step(SECRET, code, now=moment) for moment in moments]
    assert found == [None, step, step, step, None]


def test_each_user_salt_and_installation_has_another_secret() -> None:
    user, salt = uuid4(), b"s" * totp.SALT_BYTES
    secrets = {
        totp.secret_of(user, salt, secret_key="k" * 32),
        totp.secret_of(uuid4(), salt, secret_key="k" * 32),
        totp.secret_of(user, b"t" * totp.SALT_BYTES, secret_key="k" * 32),
        totp.secret_of(user, salt, secret_key="l" * 32),
    }
    assert len(secrets) == 4
    assert {len(each) for each in secrets} == {totp.SECRET_BYTES}


def test_the_address_names_the_account_and_how_codes_are_made() -> None:
    parts = urlsplit(totp.address_of("ABC", "a+b&c@example.com"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Chronos%3Aa%2Bb%26c%40example.com"
    assert parse_qs(parts.query) == {
        "secret": ["ABC"],
        "issuer": ["Chronos"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }

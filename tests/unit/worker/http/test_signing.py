from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from chronos_common.errors import Invalid
from chronos_worker.http import signing
from specimens import SIGNING_SECRET as SECRET


def test_the_signature_of_the_specification() -> None:
    # The example of the specification's reference libraries.
    assert (
        signing.sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@given(
    message_id=st.uuids().map(str),
    timestamp=st.integers(0, 2**40),
    body=st.text().filter(lambda text: "\x00" not in text),
)
def test_any_signature_is_that_of_the_reference_library(
    message_id: str, timestamp: int, body: str
) -> None:
    moment = datetime.fromtimestamp(timestamp % 2**32, UTC)
    ours = signing.sign(SECRET, message_id, timestamp % 2**32, body.encode())
    assert ours == Webhook(SECRET).sign(message_id, moment, body)


def test_any_bytes_can_be_signed() -> None:
    assert signing.sign(SECRET, "id", 1, bytes(range(256))).startswith("v1,")


def test_the_prefix_of_a_secret_may_be_missing() -> None:
    assert signing.key_of(SECRET) == signing.key_of(SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize("secret", ["whsec_!!!", "whsec_abc", "not base64"])
def test_a_secret_that_is_none_is_named(secret: str) -> None:
    with pytest.raises(Invalid, match="signing_secret"):
        signing.key_of(secret)

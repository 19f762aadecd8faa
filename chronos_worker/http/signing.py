"""Signatures of webhooks, by the Standard Webhooks specification (standardwebhooks.com).

A receiver computes the same HMAC over ``id.timestamp.body`` with the workspace's secret and
compares it, so it knows who sent the request, and that nobody changed or replayed it.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from functools import lru_cache

from chronos_common.errors import Invalid

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public, what follows it is not


@lru_cache(maxsize=4096)
def key_of(secret: str) -> bytes:
    """Return the key that ``secret`` (``whsec_<base64>``) holds.

    Raises :class:`Invalid` when it does not hold one.
    """
    try:
        return b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (NotBase64, ValueError) as error:
        message = f"Must be {SECRET_PREFIX} and base64; make the workspace a new one."
        raise Invalid({"signing_secret": [message]}) from error


@lru_cache(maxsize=4096)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return an HMAC that has taken in its key, which takes as long as a short message."""
    return hmac.new(key, digestmod="sha256")


def signature(key: bytes, message_id: bytes, timestamp: int, body: bytes) -> bytes:
    """Return the value of ``webhook-signature`` for ``body`` sent at ``timestamp`` (Unix, s)."""
    signed = _keyed(key).copy()
    signed.update(b"%b.%d.%b" % (message_id, timestamp, body))
    return b"v1," + b64encode(signed.digest())


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``, from the secret as its owner knows it."""
    return signature(key_of(secret), message_id.encode(), timestamp, body).decode()

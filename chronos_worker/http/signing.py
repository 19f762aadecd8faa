"""Signatures of webhooks, by the Standard Webhooks specification (standardwebhooks.com).

A receiver computes the same HMAC over ``id.timestamp.body`` with the workspace's secret. If the
two are equal, the request came from Chronos, and was neither changed nor replayed.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from functools import lru_cache

from chronos_common.errors import Invalid

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public


@lru_cache(maxsize=4096)
def key_of(secret: str) -> bytes:
    """Return the key in ``secret`` (``whsec_<base64>``).

    Raises :class:`Invalid` if there is none.
    """
    try:
        return b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (NotBase64, ValueError) as error:
        message = f"Must be {SECRET_PREFIX} and base64; make the workspace a new one."
        raise Invalid({"signing_secret": [message]}) from error


@lru_cache(maxsize=4096)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return an HMAC with its key. Adding the key takes as long as signing a short message."""
    return hmac.new(key, digestmod="sha256")


def signature(key: bytes, message_id: bytes, timestamp: int, body: bytes) -> bytes:
    """Return the value of ``webhook-signature`` for ``body`` sent at ``timestamp`` (Unix, s)."""
    signed = _keyed(key).copy()
    signed.update(b"%b.%d.%b" % (message_id, timestamp, body))
    return b"v1," + b64encode(signed.digest())


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``, from a secret in the form ``whsec_<base64>``."""
    return signature(key_of(secret), message_id.encode(), timestamp, body).decode()

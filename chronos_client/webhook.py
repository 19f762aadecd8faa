"""Verify webhooks of Chronos, at the target (Standard Webhooks, https://www.standardwebhooks.com).

It needs the standard library only.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256

from chronos_client.errors import ClientError, SignatureInvalid

_PREFIX = "whsec_"
_VERSION = "v1,"
#: Signatures of one request that are compared. Chronos sends two while a secret is rotated.
_MAX_SIGNATURES = 10

TOLERANCE_SECONDS = 300


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> str:
    """Return the request's id if it was signed by ``secret``, or by one of several.

    The id is the same if Chronos has to send the request again. ``body`` are the bytes as they
    came, before JSON is parsed. ``now`` is in Unix seconds, by default the present. Raises
    :class:`SignatureInvalid` if a header is missing, if no signature fits, or if the request is
    older or newer than the tolerance. Raises :class:`ClientError` if the secret is unusable.
    """
    found = {name.lower(): value for name, value in headers.items()}
    identifier, timestamp = _header(found, "webhook-id"), _header(found, "webhook-timestamp")
    given = _header(found, "webhook-signature").split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]
    _check_time(timestamp, time.time() if now is None else now, tolerance_seconds)
    signed = f"{identifier}.{timestamp}.".encode() + body
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [_signature(_key(each), signed) for each in secrets]
    # Each pair is compared, and in constant time, so that the time tells nothing.
    equal = [hmac.compare_digest(one.encode(), other) for one in given for other in expected]
    if not any(equal):
        raise SignatureInvalid(
            "No signature of the request fits. Check the workspace's signing secret, "
            "and that the body is verified as it came."
        )
    return identifier


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SignatureInvalid(f"The request has no {name}. Chronos did not send it.")
    return value


def _check_time(timestamp: str, now: float, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdecimal()):
        raise SignatureInvalid("The webhook-timestamp is no number of seconds.")
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureInvalid(
            f"The request was signed more than {tolerance:g} s from now. "
            "It was sent again by somebody, or a clock is wrong."
        )


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(
            "The secret is not the workspace's signing secret, which begins with 'whsec_'."
        ) from error


def _signature(key: bytes, signed: bytes) -> bytes:
    return _VERSION.encode() + base64.b64encode(hmac.new(key, signed, sha256).digest())

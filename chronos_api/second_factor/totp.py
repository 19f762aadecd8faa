"""One-time passwords by time (RFC 6238): six digits, HMAC-SHA-1, 30 seconds.

The secret of a user follows from the secret key of the installation and a random salt. The
database holds the salt, so that a copy of it is of no use without the key.
"""

import hmac
import struct
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

DIGITS: Final = 6
STEP_SECONDS: Final = 30
SALT_BYTES: Final = 16
#: RFC 4226 wants 160 bits.
SECRET_BYTES: Final = 20
#: Steps before and after the present one whose codes are right too, because clocks differ.
TOLERANCE: Final = 1

_ISSUER = "Chronos"
_PURPOSE = b"chronos second factor"


def secret_of(user_id: UUID, salt: bytes, *, secret_key: str) -> bytes:
    """Return the secret of a user, which their application and this installation share."""
    message = _PURPOSE + user_id.bytes + salt
    return hmac.digest(secret_key.encode(), message, "sha256")[:SECRET_BYTES]


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step, which is a number of half minutes since 1970 (RFC 4226)."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    (number,) = struct.unpack_from(">I", digest, offset)
    return f"{(number & 0x7FFF_FFFF) % 10**DIGITS:0{DIGITS}}"


def step_of(moment: datetime) -> int:
    """Return the step that the instant belongs to."""
    return int(moment.timestamp()) // STEP_SECONDS


def matching_step(secret: bytes, code: str, *, now: datetime) -> int | None:
    """Return the step around ``now`` whose code this is, the latest first, or None."""
    present = step_of(now)
    for step in range(present + TOLERANCE, present - TOLERANCE - 1, -1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def address_of(secret_text: str, account: str) -> str:
    """Return the ``otpauth`` address that hands a secret to an application."""
    label = quote(f"{_ISSUER}:{account}")
    return (
        f"otpauth://totp/{label}?secret={secret_text}&issuer={_ISSUER}"
        f"&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    )

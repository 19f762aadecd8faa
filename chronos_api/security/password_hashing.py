"""Passwords, hashed with argon2id (RFC 9106)."""

import secrets
from base64 import b64encode
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chronos_common.errors import Unavailable

MIN_LENGTH = 8
MAX_LENGTH = 128

_WAIT_SECONDS = 10

# The variant and the version that the hasher uses.
_ARGON2ID = "argon2id$v=19"

_hasher = PasswordHasher()
# Each hash takes 64 MiB and most of a core for a tenth of a second.
_places = BoundedSemaphore(2)


def _hash_of_nothing() -> str:
    """Return a text in the form of a hash, without the time that a hash takes."""
    parts = (secrets.token_bytes(size) for size in (_hasher.salt_len, _hasher.hash_len))
    salt, tag = (b64encode(part).decode().rstrip("=") for part in parts)
    costs = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"${_ARGON2ID}${costs}${salt}${tag}"


# Compared with the password when there is no such account, so that both take as long.
_NOBODY = _hash_of_nothing()


class TooManyLogins(Unavailable):
    """Too many people log in at this moment. Try again in a moment."""


def hash_of(password: str) -> str:
    """Return the hash of ``password`` to store."""
    with _Place():
        return _hasher.hash(password)


def matches(password: str, stored: str | None) -> bool:
    """Return whether ``password`` is the one of the hash ``stored``.

    None, for an account that does not exist, takes as long as a wrong password.
    """
    with _Place():
        try:
            return _hasher.verify(stored or _NOBODY, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


class _Place:
    """One of the few places in which hashes are computed at the same time."""

    def __enter__(self) -> None:
        if not _places.acquire(timeout=_WAIT_SECONDS):
            raise TooManyLogins

    def __exit__(self, *_: object) -> None:
        _places.release()

"""Lockouts: after a failed login the caller waits, longer after each failure.

Failures are counted for each pair of an account and a network address, so that a caller locks no
others out. They are counted for every e-mail address alike, so that they do not reveal which
accounts exist. The counts are in Redis. While it is down, each process counts for itself.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import Flask, current_app
from limits.storage import MemoryStorage, Storage
from redis.exceptions import RedisError

from chronos_api.security import rate_limits
from chronos_common import clock
from chronos_common.errors import TooManyRequests, Unauthenticated

#: Everybody mistypes a password some times.
FREE_FAILURES = 5
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 15 * 60
#: After this long, failures are forgotten.
MEMORY_SECONDS = 60 * 60

_NAME = "chronos-lockouts"


def register(app: Flask) -> None:
    """Give the application a memory for when Redis is down."""
    app.extensions[_NAME] = MemoryStorage()


@contextmanager
def guarding(email: str) -> Iterator[None]:
    """Surround the check of a password of the account ``email``.

    Raises :class:`TooManyRequests` without a check if the caller has to wait. An
    ``Unauthenticated`` that leaves the block is a failure. Without one, failures are forgotten.
    """
    pair = hashlib.sha256(f"{email.lower()}\n{rate_limits.address()}".encode()).hexdigest()
    failures, lock = f"chronos:failures:{pair}", f"chronos:lock:{pair}"
    seconds = _seconds_locked(lock)
    if seconds > 0:
        raise TooManyRequests(f"Too many failed logins; wait {seconds} seconds.", seconds=seconds)
    try:
        yield
    except Unauthenticated:
        _note_failure(failures, lock)
        raise
    _forget(failures)


def wait_after(failures: int) -> int:
    """Return the seconds to wait after so many failures."""
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, 16)
    return min(FIRST_WAIT_SECONDS << doublings, LONGEST_WAIT_SECONDS)


def _seconds_locked(lock: str) -> int:
    for storage in _storages():
        try:
            if not storage.get(lock):
                return 0
            left = math.ceil(storage.get_expiry(lock) - clock.host_now().timestamp())
            return min(max(left, 1), LONGEST_WAIT_SECONDS)
        except RedisError:
            continue
    return 0


def _note_failure(failures: str, lock: str) -> None:
    for storage in _storages():
        try:
            seconds = wait_after(storage.incr(failures, MEMORY_SECONDS))
            if seconds:
                storage.incr(lock, seconds)
        except RedisError:
            continue
        return


def _forget(failures: str) -> None:
    for storage in _storages():
        try:
            storage.clear(failures)
        except RedisError:
            continue
        return


def _storages() -> list[Storage]:
    """Return where to count: first Redis, unless the rate limit found that it is down."""
    local = cast(Storage, current_app.extensions[_NAME])
    shared = rate_limits.storage()
    return [local] if isinstance(shared, MemoryStorage) else [shared, local]

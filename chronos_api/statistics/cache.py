"""Answers kept in Redis for some seconds, so that many readers cost as much as one.

An answer that takes longer than a reader waits is computed in the background, and then kept for
minutes. Redis is a convenience here: while it is away, every answer is computed.
"""

import json
import time
from collections.abc import Callable
from threading import BoundedSemaphore, Thread
from typing import Any, cast

import structlog
from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

_PREFIX = "chronos:cache:"
_EXTENSION = "chronos-cache"

#: How long Redis is left alone after it did not answer.
AWAY_SECONDS = 5.0


class Cache:
    """Keeps JSON for some seconds. With 0 seconds it keeps nothing."""

    def __init__(self, redis: Redis, *, seconds: int) -> None:
        self._redis = redis
        self._seconds = seconds
        self._away_until = 0.0
        #: One answer of a process is improved at once: it takes the CPU from requests.
        self._improving = BoundedSemaphore(1)

    def get(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the value that is kept under ``key``, or else the result of ``compute``."""
        if not self._seconds or time.monotonic() < self._away_until:
            return compute()
        kept = self._read(key)
        if kept is not None:
            return kept
        computed = compute()
        # A better value that came meanwhile stays.
        self._write(key, computed, self._seconds, only_new=True)
        return computed

    def improve(self, key: str, compute: Callable[[], dict[str, Any]], *, seconds: int) -> None:
        """Let a thread compute a better value, and keep it under ``key`` for so many seconds.

        In that time, one of all processes does so once. Nobody waits for it.
        """
        if not self._seconds or time.monotonic() < self._away_until:
            return
        if not self._improving.acquire(blocking=False):
            return
        try:
            is_first = self._redis.set(f"{_PREFIX}{key}:improved", b"1", nx=True, ex=seconds)
        except RedisError as error:
            self._leave(error)
            is_first = None
        if not is_first:
            self._improving.release()
            return
        arguments = key, compute, seconds
        Thread(target=self._improve, args=arguments, name="improve", daemon=True).start()

    def _improve(self, key: str, compute: Callable[[], dict[str, Any]], seconds: int) -> None:
        try:
            self._write(key, compute(), seconds)
        except Exception:  # noqa: BLE001 - whatever it is, nobody waits for it
            # The partial value stays. The next try comes after the same time.
            _log.exception("answer not improved", key=key)
        finally:
            self._improving.release()

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            content = self._redis.get(_PREFIX + key)
        except RedisError as error:
            self._leave(error)
            return None
        try:
            kept = json.loads(content) if isinstance(content, bytes) else None
        except ValueError:
            return None
        return kept if isinstance(kept, dict) else None

    def _write(
        self, key: str, value: dict[str, Any], seconds: int, *, only_new: bool = False
    ) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            self._redis.set(_PREFIX + key, json.dumps(value), ex=seconds, nx=only_new)
        except RedisError as error:
            self._leave(error)

    def _leave(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
        _log.warning("cache away", error=str(error))


def register(app: Flask, redis: Redis, *, seconds: int) -> None:
    """Give the application its cache."""
    app.extensions[_EXTENSION] = Cache(redis, seconds=seconds)


def current() -> Cache:
    """Return the cache of the application that handles the current request."""
    return cast(Cache, current_app.extensions[_EXTENSION])

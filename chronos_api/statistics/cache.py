"""Answers kept in Redis for some seconds, so that many readers cost as much as one.

Redis is a convenience here: while it is away, every answer is computed.
"""

import json
import time
from collections.abc import Callable
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

    def get(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the value that is kept under ``key``, or else the result of ``compute``."""
        if not self._seconds or time.monotonic() < self._away_until:
            return compute()
        kept = self._read(key)
        if kept is not None:
            return kept
        computed = compute()
        self._write(key, computed)
        return computed

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

    def _write(self, key: str, value: dict[str, Any]) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            self._redis.set(_PREFIX + key, json.dumps(value), ex=self._seconds)
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

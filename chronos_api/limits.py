"""Rate limits, counted in Redis; while it is down, each process counts for itself."""

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import cast

from flask import Flask, current_app, request
from flask_limiter import ApplicationLimit, Limit, Limiter, RequestLimit
from redis.exceptions import RedisError

from chronos_api.connections import REDIS_OPTIONS
from chronos_common import clock
from chronos_common.settings import Settings


class Rate(Enum):
    """Which limit a route has."""

    NORMAL = auto()
    LOGIN = auto()
    NONE = auto()


def register(
    app: Flask, settings: Settings, *, caller: Callable[[], str], rate: Callable[[], Rate]
) -> None:
    """Limit the requests of each ``caller`` by the ``rate`` of the current route.

    A Redis that does not answer costs one short wait, and then nothing until it was seen again.
    """
    limiter = Limiter(
        caller,
        application_limits=[
            ApplicationLimit(
                settings.rate_limit, key_function=caller, exempt_when=lambda: rate() is Rate.NONE
            )
        ],
        default_limits=[
            Limit(
                settings.login_rate_limit,
                key_function=address,
                exempt_when=lambda: rate() is not Rate.LOGIN,
            )
        ],
        storage_uri=settings.redis_url,
        storage_options=REDIS_OPTIONS,
        in_memory_fallback_enabled=True,
        headers_enabled=False,
        key_prefix="chronos",
    )
    limiter.init_app(app)


def address() -> str:
    """Return the caller's network address."""
    return request.remote_addr or "unknown"


def seconds_to_wait() -> int:
    """Return after how many seconds the caller that was just refused may come back."""
    limiter: Limiter
    (limiter,) = current_app.extensions["limiter"]
    refused = cast(RequestLimit, limiter.current_limit)
    longest: int = refused.limit.get_expiry()
    try:
        left = math.ceil(refused.reset_at - clock.host_now().timestamp())
    except RedisError:
        return longest
    return min(max(left, 1), longest)

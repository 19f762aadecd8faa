"""Rate limits, counted in Redis. While it is down, each process counts for itself."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Final, cast

from flask import Flask, Response, current_app, request
from flask_limiter import ApplicationLimit, Limit, Limiter, RequestLimit
from limits import parse_many
from limits.storage import Storage
from redis.exceptions import RedisError

from chronos_api.connections import REDIS_OPTIONS
from chronos_api.security import rate_limit_storage
from chronos_common import clock
from chronos_common.settings import Settings

_PREFIX: Final = "chronos"
#: One customer of IPv6 has at least as many addresses as this prefix leaves.
PREFIX = 64
_IPV4 = 4

#: The quotas of the route and their remaining parts (draft-ietf-httpapi-ratelimit-headers).
POLICY_HEADER, LEFT_HEADER = "RateLimit-Policy", "RateLimit"


class Rate(Enum):
    """Which limit a route has."""

    NORMAL = auto()
    LOGIN = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit of whole requests: its name in headers, its rates, and whose requests it counts.

    ``key`` returns None for a caller whom the limit does not count.
    """

    name: str
    rates: str
    key: Callable[[], str | None]

    def limit(self) -> ApplicationLimit:
        """Return the limit as flask-limiter takes it."""
        return ApplicationLimit(
            self.rates,
            key_function=lambda: f"{self.name}:{self.key()}",
            exempt_when=lambda: self.key() is None,
        )

    def keys(self) -> dict[str, int]:
        """Return the keys of the current request as flask-limiter makes them, with lifetimes."""
        key = self.key()
        if key is None:
            return {}
        return {
            each.key_for(_PREFIX, f"{self.name}:{key}", "global"): each.get_expiry()
            for each in parse_many(self.rates)
        }


def register(
    app: Flask, settings: Settings, *, counted: Sequence[Counted], rate: Callable[[], Rate]
) -> None:
    """Limit the requests of each caller by the ``rate`` of the current route.

    A Redis that does not answer costs one short wait, and then nothing until it was seen again.
    """
    limiter = Limiter(
        network,
        application_limits=[each.limit() for each in counted],
        default_limits=[
            Limit(
                settings.login_rate_limit,
                key_function=network,
                exempt_when=lambda: rate() is not Rate.LOGIN,
            )
        ],
        storage_uri=rate_limit_storage.SCHEME + settings.redis_url,
        storage_options=REDIS_OPTIONS,
        in_memory_fallback_enabled=True,
        headers_enabled=False,
        key_prefix=_PREFIX,
    )

    def expect() -> None:
        keys: dict[str, int] = {}
        for each in counted:
            keys |= each.keys()
        rate_limit_storage.expect(keys)

    app.before_request(expect)
    limiter.init_app(app)
    app.after_request(_set_headers)


def network() -> str:
    """Return the caller's network: an IPv4 address, or the /64 that one customer has of IPv6."""
    address = request.remote_addr or ""
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    return str(found) if found.version == _IPV4 else str(ip_network((found, PREFIX), strict=False))


def storage() -> Storage:
    """Return where counts are kept at this moment: Redis, or this process while it is down."""
    return _limiter().limiter.storage


def seconds_to_wait() -> int:
    """Return after how many seconds the caller that was just refused may come back."""
    refused = cast(RequestLimit, _limiter().current_limit)
    return _seconds_left(refused)


def _limiter() -> Limiter:
    limiter: Limiter
    (limiter,) = current_app.extensions["limiter"]
    return limiter


def _seconds_left(limit: RequestLimit) -> int:
    longest: int = limit.limit.get_expiry()
    try:
        left = math.ceil(limit.reset_at - clock.host_now().timestamp())
    except RedisError:
        return longest
    return min(max(left, 1), longest)


def _set_headers(response: Response) -> Response:
    """Set the headers of the caller's quotas and their remaining parts."""
    counted = _limiter().current_limits
    if not counted:
        return response
    try:
        left = [
            f"{_name(each)};r={max(each.remaining, 0)};t={_seconds_left(each)}" for each in counted
        ]
    except RedisError:
        # Redis went down during this request. The next one is counted here.
        return response
    response.headers[LEFT_HEADER] = ", ".join(left)
    response.headers[POLICY_HEADER] = ", ".join(
        f"{_name(each)};q={each.limit.amount};w={each.limit.get_expiry()}" for each in counted
    )
    return response


def _name(limit: RequestLimit) -> str:
    """Return the limit's name, as a string of structured fields (RFC 9651)."""
    _, key, _ = limit.request_args
    kind = str(key).partition(":")[0] if limit.shared else "logins"
    return f'"{kind}-{limit.limit.get_expiry()}s"'

"""The names under which this server may be called.

A page of a foreign name can lead its name to this server's address (DNS rebinding). A browser then
takes the server for a part of that page. An IP address or ``localhost`` leads nowhere else.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, request

from chronos_common.domain.hosts import ascii_host
from chronos_common.errors import ChronosError
from chronos_common.settings import Settings

_EVERY_HOST = "*"
#: The host and the port of RFC 3986, section 3.2. The port is the proxy's or the container's.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?")
#: Load balancers ask this by names of their own. The answer is the same for everybody.
_LIVENESS = frozenset({"/health", "/api/v1/health"})
_MAX_SHOWN = 100


class Misdirected(ChronosError):
    """The ``Host`` of the request is not a name of this server."""


def register(app: Flask, settings: Settings) -> None:
    """Refuse requests whose ``Host`` is neither an IP address nor a known name."""
    if _EVERY_HOST in settings.allowed_hosts:
        return
    known = frozenset(_known(settings))

    def check() -> None:
        # Without a Host there is no browser: each of them sends one.
        host = request.environ.get("HTTP_HOST")
        if host is not None and request.path not in _LIVENESS and not _is_ours(host, known):
            raise Misdirected(
                f"{host[:_MAX_SHOWN]!r} is not a name of this server. If it should be one, its "
                "operator adds it to CHRONOS_ALLOWED_HOSTS."
            )

    app.before_request(check)


def _known(settings: Settings) -> Iterator[str]:
    yield "localhost"
    yield settings.api_host.lower()
    yield ascii_host(urlsplit(settings.public_url).hostname or "localhost")
    yield from settings.allowed_hosts


def _is_ours(authority: str, known: frozenset[str]) -> bool:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return False
    host = match[1].lower().removesuffix(".")
    if host in known:
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True

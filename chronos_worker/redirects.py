"""Redirects (RFC 9110, section 15.4): where the next message goes, and what it may carry.

libcurl could follow them itself, but it would send a user's own headers (API keys, say) to every
host that a target points to. Here they go only to the origin that the user named, and to its
https twin; elsewhere goes what Chronos itself says about the execution.
"""

from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from chronos_worker.request import Message, Request

MAX_REDIRECTS: Final = 5
STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NotFollowed(Exception):
    """A redirect leads too far, or to what is not http or https."""


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` of an http or https URL.

    Raises ``ValueError`` if it is neither.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("Not an http or https URL")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def message_after(
    message: Message, request: Request, *, status: int, location: str, hops: int, now: datetime
) -> Message:
    """Return what ``request`` sends to ``location`` after ``message`` was answered ``status``.

    ``hops`` redirects were followed before. Raises :class:`NotFollowed`.
    """
    if hops >= MAX_REDIRECTS:
        raise NotFollowed(f"The target redirected more than {MAX_REDIRECTS} times")
    try:
        origin = origin_of(location)
    except ValueError as error:
        raise NotFollowed("The redirect does not lead to an http or https URL") from error
    target = request.target
    method, body = _method_after(status, message)
    headers = [*target.headers, request.own_lines(now, body)]
    if _is_same(target.origin, origin):
        headers += target.private_headers
    if body is None and message.body is not None:
        headers = [line for line in headers if not line.lower().startswith(b"content-type:")]
    return Message(method, location, headers, body)


def _method_after(status: int, message: Message) -> tuple[str, bytes | None]:
    """Return what browsers made the rule: POST becomes GET, except after 307 and 308."""
    if status == _SEE_OTHER and message.method != "HEAD":
        return "GET", None
    if status in {301, 302} and message.method == "POST":
        return "GET", None
    return message.method, message.body


def _is_same(named: str, other: str) -> bool:
    """Tell whether ``other`` is the named origin, or the same host upgraded to https."""
    if named == other:
        return True
    host = named.removeprefix("http://").removesuffix(":80")
    return named == f"http://{host}:80" and other == f"https://{host}:443"

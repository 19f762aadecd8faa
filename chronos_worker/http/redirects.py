"""Redirects (RFC 9110, section 15.4): the next message of a transfer.

libcurl could follow them itself, but it would send a user's own headers, such as API keys, to
every host that a target points to. Here they go only to the origin that the user named, and to
the same host over https. Other hosts get only the headers of Chronos about the execution.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from chronos_common.domain.urls import ascii_place
from chronos_worker.http import response_headers
from chronos_worker.http.request import HttpMessage, TransferRequest

MAX_REDIRECTS: Final = 5
STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
# Most servers allow no more, and the history keeps the URL of each hop.
MAX_URL_LENGTH: Final = 8 << 10
# Characters that RFC 3986 allows in a path or query, and the percent sign of escapes.
_SAFE_IN_PATH: Final = "!$%&'()*+,/:;=?@[]~"
_SAFE_IN_USERINFO: Final = "!$%&'()*+,:;=~"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NotFollowed(Exception):
    """The redirect is one too many, or its URL cannot be requested."""


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` of an http or https URL.

    Raises ``ValueError`` if it is neither.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("Not an http or https URL")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def location_of(lines: Sequence[bytes]) -> bytes | None:
    """Return the ``Location`` in an answer's header lines, if it is not empty."""
    for line in response_headers.last(lines):
        name, _, value = line.partition(b":")
        if name.lower() == b"location":
            return value.strip() or None
    return None


def message_after(
    message: HttpMessage,
    request: TransferRequest,
    *,
    status: int,
    location: bytes,
    hops: int,
    now: datetime,
) -> HttpMessage:
    """Return the message to ``location``, after ``message`` was answered with ``status``.

    ``hops`` is the number of redirects before this one. Raises :class:`NotFollowed`.
    """
    if hops >= MAX_REDIRECTS:
        raise NotFollowed(f"The target redirected more than {MAX_REDIRECTS} times")
    url = _absolute(location, message.url)
    template = request.template
    method, body = _method_after(status, message)
    headers = [*template.headers, request.own_lines(now, body)]
    if _is_same(template.origin, origin_of(url)):
        headers += template.private_headers
    if body is None and message.body is not None:
        headers = [line for line in headers if not line.lower().startswith(b"content-type:")]
    return HttpMessage(method, url, headers, body)


def _absolute(location: bytes, base: str) -> str:
    """Return the URL, in ASCII, of a ``location`` that may be relative to ``base``.

    Its path and query may hold bytes that are no UTF-8. Raises :class:`NotFollowed`.
    """
    text = location.decode("utf-8", "surrogateescape")
    try:
        given = urlsplit(text)
        parts = given if given.scheme else urlsplit(urljoin(base, text))
    except ValueError as error:
        raise NotFollowed("The redirect leads to a malformed URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise NotFollowed("The redirect does not lead to an http or https URL")
    path, query = (
        quote(part, safe=_SAFE_IN_PATH, errors="surrogateescape")
        for part in (parts.path, parts.query)
    )
    url = urlunsplit((parts.scheme, _place(parts.netloc), path, query, ""))
    if len(url) > MAX_URL_LENGTH:
        raise NotFollowed(f"The redirect's URL has more than {MAX_URL_LENGTH:,} characters")
    return url


def _place(netloc: str) -> str:
    """Return the user information, host and port of a URL, in ASCII."""
    userinfo, at, place = netloc.rpartition("@")
    if "\\" in userinfo:
        raise NotFollowed("The redirect names two hosts: browsers read '\\' as '/'")
    try:
        place = ascii_place(place.encode().decode())
    except UnicodeEncodeError as error:
        raise NotFollowed("The redirect's host name is not UTF-8") from error
    except ValueError as error:
        raise NotFollowed(f"The redirect cannot be followed: {error}") from error
    return f"{quote(userinfo, safe=_SAFE_IN_USERINFO, errors='surrogateescape')}{at}{place}"


def _method_after(status: int, message: HttpMessage) -> tuple[str, bytes | None]:
    """Return the next method and body: POST becomes GET except after 307 and 308."""
    if status == _SEE_OTHER and message.method != "HEAD":
        return "GET", None
    if status in {301, 302} and message.method == "POST":
        return "GET", None
    return message.method, message.body


def _is_same(named: str, other: str) -> bool:
    """Return whether ``other`` is the named origin, or the same host over https."""
    if named == other:
        return True
    host = named.removeprefix("http://").removesuffix(":80")
    return named == f"http://{host}:80" and other == f"https://{host}:443"

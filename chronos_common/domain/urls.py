"""URLs of webhooks: which ones can be requested, and how they are sent, in ASCII."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urlencode, urlsplit

from chronos_common.domain.hosts import ascii_host

MAX_URL_LENGTH: Final = 8192
_MAX_PORT: Final = 65535
_MAX_SHOWN: Final = 100

# Characters that RFC 3986 allows in a URL, and the percent sign of escapes.
_STANDS_IN_URL: Final = "!#$%&'()*+,/:;=?@[]~"
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_.\-{re.escape(_STANDS_IN_URL)}]*")
_PORT: Final = re.compile(r"0*[1-9][0-9]{0,4}")
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f]")
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL as it is sent: in ASCII, without user information.

    ``userinfo`` is the bytes of ``name:password``, None if the URL has none.
    """

    url: str
    userinfo: bytes | None


def address(url: str, params: Mapping[str, str | Sequence[str]]) -> Address:
    """Return ``url`` with ``params`` behind its own query, as it is sent.

    Raises :class:`ValueError` with a text for users if it can never be requested, or would be sent
    as another URL than was written.
    """
    parts = _split(url)
    userinfo, _, place = parts.netloc.rpartition("@")
    if parts.scheme not in {"http", "https"} or not place:
        raise ValueError("Must be an absolute http:// or https:// URL.")
    if "#" in url:
        raise ValueError(
            "Must not contain a fragment, which HTTP does not send; remove it from '#' on, "
            "or write %23 for the character."
        )
    if _DOT_SEGMENT.search(parts.path):
        raise ValueError("Must not contain '.' or '..' as a part of its path; write it without.")
    query = parts.query
    if params:
        query = "&".join(filter(None, (query, urlencode(params, doseq=True))))
    # A question mark may stand without a query.
    mark = "?" if query or "?" in url else ""
    try:
        place = _ascii_place(place)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(parts)}") from error
    sent = f"{parts.scheme}://{place}{parts.path}{mark}{query}"
    if not _PLAIN.fullmatch(sent):
        sent = quote(sent, safe=_STANDS_IN_URL)
    return Address(sent, _credentials(userinfo) if userinfo else None)


def _hint(parts: SplitResult) -> str:
    """Return a hint if a password that is not percent-encoded may have cut the host off."""
    if ":" not in parts.netloc or "@" in parts.netloc or "@" not in parts.path + parts.query:
        return ""
    return " If this is part of a password, write %2F for '/' and %3F for '?' in it."


def _split(url: str) -> SplitResult:
    if not url:
        raise ValueError("Must not be empty.")
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"At most {MAX_URL_LENGTH} characters.")
    if _UNSAFE.search(url):
        raise ValueError("Must not contain spaces or control characters; percent-encode them.")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ValueError(_no_url(url)) from error


def _no_url(url: str) -> str:
    """Return why ``url`` cannot be parsed."""
    if "[" in url or "]" in url:
        return (
            "Not a URL: before the path, brackets stand around an IPv6 address only, like "
            "http://[::1]/. Write %5B and %5D in a user name or a password."
        )
    return "Not a URL: its host has a character that stands for one of / ? # @ :."


def ascii_place(place: str) -> str:
    """Return a host with its port in ASCII.

    Raises :class:`ValueError` with a text for users if it can never be connected.
    """
    host, port = place, ""
    if not place.endswith("]"):
        before, colon, after = place.rpartition(":")
        if ":" in before and not before.endswith("]"):
            raise ValueError(
                f"The host {place[:_MAX_SHOWN]!r} must not contain ':', which stands before the "
                "port; an IPv6 address stands in brackets, like [::1]."
            )
        if colon:
            host, port = before, after
    if port and not (_PORT.fullmatch(port) and int(port) <= _MAX_PORT):
        raise ValueError(f"The port must be a number from 1 to {_MAX_PORT}.")
    try:
        # RFC 3986, section 3.2.2: a name may be percent-encoded, as UTF-8.
        host = ascii_host(unquote(host, errors="strict") if not host.startswith("[") else host)
    except UnicodeDecodeError:
        raise ValueError("The host name is percent-encoded, but not as UTF-8.") from None
    return f"{host}:{int(port)}" if port else host


# Jobs have many URLs and few hosts, and workers call this for each request.
_ascii_place = lru_cache(maxsize=4096)(ascii_place)


def _credentials(userinfo: str) -> bytes:
    """Return a URL's user information as Basic authentication needs it (RFC 7617)."""
    if "\\" in userinfo:
        # Browsers read a slash here, and so another host.
        raise ValueError(r"Must not contain '\' before the host; write %5C.")
    name, _, password = userinfo.partition(":")
    user = unquote_to_bytes(name)
    if b":" in user:
        raise ValueError("The user name must not contain a colon (RFC 7617).")
    return user + b":" + unquote_to_bytes(password)

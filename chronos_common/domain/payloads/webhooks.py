"""Webhooks: HTTP requests, parsed to what is sent."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chronos_common.domain import urls
from chronos_common.domain.payloads import bodies
from chronos_common.domain.payloads.reader import Reader
from chronos_common.domain.payloads.values import parameter

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_HEADERS: Final = 64
MAX_HEADER_LENGTH: Final = 8192
FIELDS: Final = frozenset(
    {
        "url",
        "method",
        "headers",
        "params",
        "body",
        "body_base64",
        "success_statuses",
        "follow_redirects",
        "verify_tls",
    }
)

#: Set by Chronos or by the connection itself; a user's value would break framing or signing.
RESERVED_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "traceparent",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-chronos-attempt",
        "x-chronos-job-id",
        "x-chronos-scheduled-for",
        "x-chronos-test",
    }
)

# RFC 9110, section 5.6.2: the characters of a field name; section 5.5: a field value.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BEYOND_LATIN_1: Final = re.compile(r"[^\x00-\xff]")
_STATUSES: Final = range(100, 600)
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP request as it is sent.

    ``url`` is ASCII and holds the parameters. ``headers`` include what follows from the rest of
    the payload: ``Authorization`` from user information, ``Content-Type`` from the body.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    success_statuses: Sequence[int] = ()
    follow_redirects: bool = True
    verify_tls: bool = True


_NO_DEFAULT: Final = (
    "Missing; give it, or set default_webhook_url of the workspace: then that gets the payload "
    "as JSON."
)


def parse(reader: Reader) -> Webhook:
    """Return the request; what is wrong is noted in ``reader``."""
    method = reader.text("method", "POST").upper()
    if method not in METHODS and not reader.is_wrong("method"):
        reader.wrong("method", f"Must be one of {', '.join(METHODS)}.")
    headers = _headers(reader)
    given = {name.lower(): value for name, value in headers.items()}
    url, credentials = _address(reader)
    if credentials is not None:
        if "authorization" in given:
            reader.wrong(
                "headers",
                "Authorization is given, and the URL has user information, which is sent as "
                "Authorization too; remove one of them.",
            )
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    body, content_type = _body(reader, method, given)
    if content_type is not None:
        headers["Content-Type"] = content_type
    return Webhook(
        url=url,
        method=method,
        headers=headers,
        body=body,
        success_statuses=_success_statuses(reader),
        follow_redirects=reader.take("follow_redirects", bool, True),  # noqa: FBT003 - a default
        verify_tls=reader.take("verify_tls", bool, True),  # noqa: FBT003 - a default
    )


def _address(reader: Reader) -> tuple[str, bytes | None]:
    """Return the URL with its parameters, and its user information."""
    params = _params(reader)
    url: str | None = reader.take("url", str)
    if url is None:
        if not reader.is_wrong("url"):
            reader.wrong("url", _NO_DEFAULT)
        return "", None
    try:
        address = urls.address(url, params)
    except UnicodeEncodeError:
        reader.wrong("url", "Must not contain unpaired surrogates, nor must the parameters.")
    except ValueError as error:
        reader.wrong("url", str(error))
    else:
        return address.url, address.userinfo
    return url, None


def _params(reader: Reader) -> Mapping[str, str | Sequence[str]]:
    params: dict[str, Any] = reader.take("params", dict, {})
    found: dict[str, str | Sequence[str]] = {}
    for name, value in params.items():
        try:
            found[name] = parameter(value)
        except ValueError as error:
            reader.wrong(f"params.{name}", str(error))
    return found


def _headers(reader: Reader) -> dict[str, str]:
    headers: dict[str, Any] = dict(reader.take("headers", dict, {}))
    if len(headers) > MAX_HEADERS:
        reader.wrong("headers", f"At most {MAX_HEADERS} headers.")
    first: dict[str, str] = {}
    for name, value in headers.items():
        same = first.setdefault(name.lower(), name)
        is_text = isinstance(value, str)
        value_fault = _value_fault(name, value) if is_text else "Must be a string."
        for fault in (_name_fault(name, same), value_fault):
            if fault:
                reader.wrong(f"headers.{name}", fault)
    if not reader.errors:
        return headers
    # What else depends on a wrong header shall not be called wrong too.
    return {
        name: value for name, value in headers.items() if not reader.is_wrong(f"headers.{name}")
    }


def _name_fault(name: str, same: str) -> str | None:
    """Return what is wrong with a header's name; ``same`` is the first that HTTP calls equal."""
    if not _TOKEN.fullmatch(name):
        return "A header's name has letters, digits and !#$%&'*+-.^_`|~ only (RFC 9110)."
    if name.lower() in RESERVED_HEADERS:
        return "Chronos sets this header itself; remove it."
    if name != same:
        return f"{same!r} and {name!r} are the same header to HTTP; keep one of them."
    return None


def _value_fault(name: str, value: str) -> str | None:
    if len(name) + len(value) > MAX_HEADER_LENGTH:
        return f"At most {MAX_HEADER_LENGTH} characters, together with the name."
    if _FIELD_VALUE.fullmatch(value):
        return None
    if "\r" in value or "\n" in value:
        return "Must not contain line breaks."
    if control := _CONTROL.search(value):
        return f"Must not contain the control character U+{ord(control[0]):04X}."
    if beyond := _BEYOND_LATIN_1.search(value):
        return (
            f"Must not contain {beyond[0]!r}: HTTP has Latin-1 in headers. Percent-encode it, or "
            "write the value as RFC 8187 says, whichever the receiver understands."
        )
    return "Must not begin or end with white space, which HTTP does not keep."


def _body(
    reader: Reader, method: str, headers: Mapping[str, str]
) -> tuple[bytes | None, str | None]:
    """Return the body's bytes, and their ``Content-Type`` unless ``headers`` has one.

    The names of ``headers`` are in small letters.
    """
    body, base64 = reader.take_any("body"), reader.take("body_base64", str)
    if body is None and base64 is None:
        # A length of zero is said, not left out, where a body is expected.
        return (b"" if method in _METHODS_WITH_BODY else None), None
    if body is not None and base64 is not None:
        reader.wrong("body_base64", "Does not go with body; remove one of them.")
        return None, None
    name = "body" if base64 is None else "body_base64"
    if method == "HEAD":
        reader.wrong(name, "A HEAD request has no body; remove it, or choose another method.")
    if base64 is None and headers.get("content-encoding", "identity").lower() != "identity":
        reader.wrong(name, "Is sent as it is; give bytes with a Content-Encoding as body_base64.")
    implied = None if "content-type" in headers else _default_type(body, base64)
    try:
        if base64 is not None:
            return _decoded(base64), implied
        return bodies.encoded(body, implied or headers["content-type"]), implied
    except ValueError as error:
        reader.wrong(name, str(error))
        return None, None


def _default_type(body: object, base64: str | None) -> str:
    if base64 is not None:
        return bodies.BINARY
    return bodies.TEXT if isinstance(body, str) else bodies.JSON


def _decoded(base64: str) -> bytes:
    try:
        return b64decode(base64, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Must be base64 with its padding (RFC 4648, section 4).") from None


def _success_statuses(reader: Reader) -> Sequence[int]:
    statuses: list[Any] = reader.take("success_statuses", list, [])
    for status in statuses:
        # JSON does not tell 200.0 from 200 (RFC 8259, section 6).
        if isinstance(status, bool) or not isinstance(status, int | float) or status % 1:
            reader.wrong("success_statuses", "Must be a list of whole numbers.")
            return []
        if status not in _STATUSES:
            reader.wrong("success_statuses", "Each status must be from 100 to 599.")
            return []
    return [int(status) for status in statuses]

"""Webhooks: HTTP requests, parsed to the values that are sent."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from chronos_common.domain import redaction, urls
from chronos_common.domain.payloads import bodies
from chronos_common.domain.payloads.bodies import parameter
from chronos_common.domain.payloads.fields import (
    ANY_JSON,
    FLAG,
    Choice,
    Faults,
    JsonSchema,
    JsonValue,
    PayloadField,
)
from chronos_common.domain.payloads.payload_type import PayloadType
from chronos_common.domain.redaction import REDACTED

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_HEADERS: Final = 64
MAX_HEADER_LENGTH: Final = 8192
#: More do not fit into an address that servers accept.
MAX_PARAMETERS: Final = 1000

#: Set by Chronos or by the connection itself. A user's value would break framing or signing.
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

# The characters of a field name (RFC 9110, section 5.6.2) and of a field value (section 5.5).
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


class HeaderFields:
    """Header fields by their names."""

    schema: ClassVar[JsonSchema] = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "maxProperties": MAX_HEADERS,
    }

    def read(self, value: Any, name: str, faults: Faults) -> dict[str, str] | None:
        """Return the fields that have no fault."""
        if not isinstance(value, dict):
            faults.add(name, "Must be an object.")
            return None
        if len(value) > MAX_HEADERS:
            faults.add(name, f"At most {MAX_HEADERS} headers.")
            return None
        found: dict[str, str] = {}
        first: dict[str, str] = {}
        for key, text in value.items():
            name_fault = _name_fault(key, first.setdefault(key.lower(), key))
            is_text = isinstance(text, str)
            value_fault = _value_fault(key, text) if is_text else "Must be a string."
            if name_fault is None and value_fault is None:
                found[key] = text
            for fault in filter(None, (name_fault, value_fault)):
                faults.add(f"{name}.{key}", fault)
        return found


def _name_fault(name: str, same: str) -> str | None:
    """Return the fault of a header's name; ``same`` is the first that HTTP calls equal."""
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


_ONE_PARAMETER: Final = {"type": ["string", "number", "boolean"]}


class QueryParameters:
    """Parameters of the URL's query, by their names."""

    schema: ClassVar[JsonSchema] = {
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                _ONE_PARAMETER,
                {
                    "type": "array",
                    "items": _ONE_PARAMETER,
                    "minItems": 1,
                    "maxItems": MAX_PARAMETERS,
                },
            ]
        },
        "maxProperties": MAX_PARAMETERS,
    }

    def read(self, value: Any, name: str, faults: Faults) -> dict[str, str | list[str]] | None:
        """Return the parameters as they are sent."""
        if not isinstance(value, dict):
            faults.add(name, "Must be an object.")
            return None
        if sum(len(each) if isinstance(each, list) else 1 for each in value.values()) > (
            MAX_PARAMETERS
        ):
            faults.add(name, f"At most {MAX_PARAMETERS} parameters, with the items of lists.")
            return None
        found = {}
        for key, each in value.items():
            try:
                found[key] = parameter(each)
            except ValueError as error:
                faults.add(f"{name}.{key}", str(error))
        return found


class Base64:
    """Bytes, written in base64."""

    schema: ClassVar[JsonSchema] = {"type": "string", "contentEncoding": "base64"}

    def read(self, value: Any, name: str, faults: Faults) -> bytes | None:
        """Return the bytes."""
        if not isinstance(value, str):
            faults.add(name, "Must be a string.")
            return None
        try:
            return b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            faults.add(name, "Must be base64 with its padding (RFC 4648, section 4).")
            return None


class StatusCodes:
    """A list of HTTP statuses."""

    schema: ClassVar[JsonSchema] = {
        "type": "array",
        "items": {"type": "integer", "minimum": _STATUSES[0], "maximum": _STATUSES[-1]},
        "maxItems": len(_STATUSES),
    }

    def read(self, value: Any, name: str, faults: Faults) -> list[int] | None:
        """Return the statuses."""
        if not isinstance(value, list):
            faults.add(name, "Must be a list.")
            return None
        if len(value) > len(_STATUSES):
            faults.add(name, f"At most {len(_STATUSES)} statuses.")
            return None
        for status in value:
            # JSON does not tell 200.0 from 200 (RFC 8259, section 6).
            if isinstance(status, bool) or not isinstance(status, int | float) or status % 1:
                faults.add(name, "Must be a list of whole numbers.")
                return None
            if status not in _STATUSES:
                faults.add(name, "Each status must be from 100 to 599.")
                return None
        return [int(status) for status in value]


def _combine(values: dict[str, Any], faults: Faults) -> None:
    """Turn the fields of a payload into those of a request."""
    headers = values.setdefault("headers", {})
    given = {name.lower(): value for name, value in headers.items()}
    credentials = _address(values, faults)
    if credentials is not None:
        if "authorization" in given:
            faults.add(
                "headers",
                "Authorization is given, and the URL has user information, which is sent as "
                "Authorization too; remove one of them.",
            )
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    content_type = _body(values, given, faults)
    if content_type is not None:
        headers["Content-Type"] = content_type


def _address(values: dict[str, Any], faults: Faults) -> bytes | None:
    """Put the parameters into the URL, and return its user information."""
    params, url = values.pop("params", {}), values.get("url")
    if url is None:
        return None
    try:
        address = urls.address(url, params)
    except UnicodeEncodeError:
        faults.add("url", "Must not contain unpaired surrogates, nor must the parameters.")
    except ValueError as error:
        faults.add("url", str(error))
    else:
        values["url"] = address.url
        return address.userinfo
    return None


def _body(values: dict[str, Any], headers: Mapping[str, str], faults: Faults) -> str | None:
    """Turn the body into bytes. Return its ``Content-Type`` unless ``headers`` has one.

    The names of ``headers`` are in small letters.
    """
    body, binary = values.pop("body", None), values.pop("body_base64", None)
    method = values["method"]
    if body is None and binary is None:
        # A length of zero is said, not left out, where a body is expected.
        values["body"] = b"" if method in _METHODS_WITH_BODY else None
        return None
    if body is not None and binary is not None:
        faults.add("body_base64", "Does not go with body; remove one of them.")
        return None
    name = "body" if binary is None else "body_base64"
    if method == "HEAD":
        faults.add(name, "A HEAD request has no body; remove it, or choose another method.")
    if binary is None and headers.get("content-encoding", "identity").lower() != "identity":
        faults.add(name, "Is sent as it is; give bytes with a Content-Encoding as body_base64.")
    implied = None if "content-type" in headers else _default_type(body, binary)
    values["body"] = binary
    if binary is None:
        try:
            values["body"] = bodies.encoded(body, implied or headers["content-type"])
        except ValueError as error:
            faults.add(name, str(error))
    return implied


def _default_type(body: object, binary: bytes | None) -> str:
    if binary is not None:
        return bodies.BINARY
    return bodies.TEXT if isinstance(body, str) else bodies.JSON


def _redacted_url(url: Any) -> str:
    return redaction.url(url) if isinstance(url, str) else REDACTED


def _redacted_headers(headers: Any) -> Any:
    if not isinstance(headers, dict):
        return headers
    return {
        name: redaction.header(name, value) if isinstance(value, str) else REDACTED
        for name, value in headers.items()
    }


def _redacted_params(params: Any) -> Any:
    if not isinstance(params, dict):
        return params
    return {
        name: REDACTED if redaction.is_secret(name) else value for name, value in params.items()
    }


def _redacted_body(body: Any) -> Any:
    return redaction.text(body) if isinstance(body, str) else redaction.json_value(body)


# Its rules need the parameters too, so that they are checked together.
_URL: Final = JsonValue(
    {"type": "string", "format": "uri", "maxLength": urls.MAX_URL_LENGTH}, str, "a string"
)

WEBHOOK: Final = PayloadType(
    "webhook",
    queue="webhooks",
    description="An HTTP request",
    promise="the target answered with a status that counts as success",
    build=Webhook,
    combine=_combine,
    destination="url",
    fields=[
        PayloadField(
            "url",
            _URL,
            required=True,
            missing="Missing; give it, or set default_webhook_url of the workspace: then that "
            "gets the payload as JSON.",
            redact=_redacted_url,
            examples=["https://example.com/hook"],
        ),
        PayloadField("method", Choice(METHODS)),
        PayloadField("headers", HeaderFields(), redact=_redacted_headers),
        PayloadField("params", QueryParameters(), redact=_redacted_params),
        PayloadField(
            "body",
            ANY_JSON,
            redact=_redacted_body,
            description="A string is sent as it is, in the charset of the Content-Type; other "
            "values as JSON, or as a form under application/x-www-form-urlencoded",
        ),
        PayloadField("body_base64", Base64(), description="Bytes, instead of body"),
        PayloadField("success_statuses", StatusCodes(), description="Instead of 200 to 299"),
        PayloadField("follow_redirects", FLAG),
        PayloadField("verify_tls", FLAG),
    ],
)

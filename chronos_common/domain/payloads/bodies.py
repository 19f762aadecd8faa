"""The bytes of a webhook's body, in the form and the encoding of its ``Content-Type``."""

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final
from urllib.parse import urlencode

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
BINARY: Final = "application/octet-stream"
_FORM: Final = "application/x-www-form-urlencoded"

# Types of one JSON value: by their suffix (RFC 6839), and names from before it had a suffix.
_JSON_TYPE: Final = re.compile(
    r".+/json|.+\+json|.+/x-json|application/(?:json-rpc|jsonrequest|csp-report)"
    r"|application/x-amz-json-[0-9.]+"
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
# The signs of a form beside its texts, in any encoding that it may have.
_ASCII: Final = "&=+%"
_WRITER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
)
_MAX_SHOWN: Final = 100


def encoded(body: Any, content_type: str) -> bytes:
    """Return ``body`` as ``content_type`` says: a string as it is, other values as JSON or form.

    Raises :class:`ValueError` with the reason for a body that cannot be sent so.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    found = _CHARSET.search(content_type)
    charset = found[1] if found else "utf-8"
    try:
        if isinstance(body, str):
            return body.encode(charset)
        if _JSON_TYPE.fullmatch(media_type):
            return _WRITER.encode(body).encode(charset)
        if media_type == _FORM:
            if _ASCII.encode(charset) != _ASCII.encode():
                raise ValueError(f"A form cannot be sent in {charset[:_MAX_SHOWN]}; use UTF-8.")
            return urlencode(_pairs(body), doseq=True, encoding=charset, errors="strict").encode()
    except LookupError:
        raise ValueError(f"{charset[:_MAX_SHOWN]!r} is no encoding that Chronos knows.") from None
    except UnicodeError as error:
        raise ValueError(_beyond(charset, error)) from error
    raise ValueError(
        f"Only a string can be sent as {content_type[:_MAX_SHOWN]!r}; give the body as a string, "
        f"or with the Content-Type {JSON}, +json or {_FORM}."
    )


def _pairs(body: Any) -> Mapping[str, str | list[str]]:
    if not isinstance(body, Mapping):
        raise ValueError(f"Must be an object or a string to be sent as {_FORM}.")  # noqa: TRY004 - a user's value
    pairs = {}
    for name, value in body.items():
        try:
            pairs[name] = parameter(value)
        except ValueError as error:
            raise ValueError(f"{name[:_MAX_SHOWN]!r} cannot be sent in a form. {error}") from error
    return pairs


def _beyond(charset: str, error: UnicodeError) -> str:
    if isinstance(error, UnicodeEncodeError):
        character = error.object[error.start]
        return f"Contains {character!r}, which the encoding {charset[:_MAX_SHOWN]} does not have."
    return f"Cannot be sent in the encoding {charset[:_MAX_SHOWN]}; use UTF-8."


def parameter(value: Any) -> str | list[str]:
    """Return a value as text, or a list of values as texts; each one is sent.

    Numbers and booleans are written as in JSON. Raises :class:`ValueError`, in words.
    """
    if isinstance(value, list):
        if not value:
            raise ValueError("An empty list sends nothing; remove it, or give an empty string.")
        return [_text(item) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return repr(value)
    raise ValueError("Must be a string, a number, true, false or a list of them.")

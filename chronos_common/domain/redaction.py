"""Secrets are hidden wherever requests and responses are shown or kept.

A name tells whether its value is secret: of a header, of a query parameter, or of a member of a
JSON object at any depth. ``docs/jobs.md`` lists the names.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

REDACTED = "[redacted]"

# Substrings that make a header, query parameter or field secret.
_ANYWHERE = re.compile(
    r"authori[sz]ation|cookie|token|secret|api-?key|passw|passphrase|signature|credential"
    r"|private-?key|access-?key|session|bearer|jwt"
)
# Short words that are secret only when they stand alone: not in "author" or "design".
_AS_A_WORD = re.compile(r"(?:^|-)(?:auth|key|sig|pass|pwd|pin|otp)(?:-|$)")
# A text without any of them has no secret name. Looking for them is quicker than a pattern.
_HINTS = (
    *("auth", "cookie", "token", "secret", "key", "pass", "pwd", "pin", "otp", "sig"),
    *("credential", "session", "bearer", "jwt"),
)
# These identify or count rather than authorise.
_HARMLESS = frozenset(
    {
        *("idempotency-key", "x-idempotency-key", "surrogate-key", "sec-websocket-key"),
        *("max-tokens", "max-completion-tokens", "max-output-tokens", "total-tokens"),
        *("prompt-tokens", "completion-tokens", "input-tokens", "output-tokens"),
    }
)
# A member of an object, with the beginning of its value. A name without escapes keeps the search
# linear in the text.
_MEMBER = re.compile(r'"([^"\\]+)"\s*:\s*("(?:[^"\\]|\\.)*"?|[^\s,\]}"])', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]}]*")
_FORM = re.compile(r"[^\s=&?]+=[^\s&]*(?:&[^\s=&]+=[^\s&]*)*")
_SEPARATORS = re.compile(r"[_\s.]+")
_URL_HEADERS = frozenset({"location", "content-location", "referer"})


#: Longer names are not cached: users write them.
_LONGEST_CACHED: Final = 128


def is_secret(name: str) -> bool:
    """Return whether the value of a header, query parameter or field called ``name`` is secret."""
    return _cached(name) if len(name) <= _LONGEST_CACHED else _is_secret(name)


def _is_secret(name: str) -> bool:
    name = _SEPARATORS.sub("-", name.lower())
    if name in _HARMLESS:
        return False
    return bool(_ANYWHERE.search(name) or _AS_A_WORD.search(name))


_cached = lru_cache(maxsize=4096)(_is_secret)


def headers(values: Mapping[str, str]) -> dict[str, str]:
    """Return header fields with the secret ones replaced, and URLs among them redacted."""
    return {name: header(name, value) for name, value in values.items()}


def header(name: str, value: str) -> str:
    """Return a header field's value without its secrets."""
    if is_secret(name):
        return REDACTED
    return url(value) if name.lower() in _URL_HEADERS else value


def url(value: str) -> str:
    """Return ``value`` without its user information, and with secret query values replaced."""
    try:
        parts = urlsplit(value)
    except ValueError:
        # A URL that cannot be parsed cannot be redacted in part.
        return REDACTED
    netloc = parts.netloc
    if "@" in netloc:
        netloc = f"{REDACTED}@{netloc.rpartition('@')[2]}"
    query, fragment = _form(parts.query), _form(parts.fragment)
    if (netloc, query, fragment) == (parts.netloc, parts.query, parts.fragment):
        # Building the URL again would change its spelling.
        return value
    return urlunsplit((parts.scheme, netloc, parts.path, query, fragment))


def json_value(value: Any) -> Any:
    """Return a JSON value with the secret members of its objects replaced, at any depth."""
    if isinstance(value, dict):
        return {
            name: REDACTED if is_secret(name) and _is_telling(each) else json_value(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [json_value(each) for each in value]
    return value


def _is_telling(value: Any) -> bool:
    """Return whether a value can be a secret: not null, true, false or empty."""
    return not isinstance(value, bool) and value not in (None, "", [], {})


def text(value: str) -> str:
    """Return a text with the secrets in it replaced, if it is JSON or a form, cut or whole."""
    lowered = value.lower()
    if not any(hint in lowered for hint in _HINTS):
        return value
    try:
        found = json.loads(value)
        hidden = json_value(found)
    except (ValueError, RecursionError):
        return _form(value) if _FORM.fullmatch(value) else _members(value)
    # Writing the value again would change its spelling.
    return value if hidden == found else json.dumps(hidden, ensure_ascii=False)


def _members(value: str) -> str:
    """Return a text with the secret members replaced, although it is no whole JSON value."""
    parts, kept_from = [], 0
    for member in _MEMBER.finditer(value):
        if not is_secret(member[1]) or member.start() < kept_from:
            continue
        parts += [value[kept_from : member.start(2)], f'"{REDACTED}"']
        if member[2] in "[{":
            # Where it ends is not known.
            return "".join(parts)
        kept_from = member.end()
        if not member[2].startswith('"'):
            kept_from = _SCALAR.match(value, kept_from).end()  # type: ignore[union-attr] # it may be empty
    return "".join([*parts, value[kept_from:]])


def _form(value: str) -> str:
    return "&".join(_parameter(each) for each in value.split("&"))


def _parameter(text: str) -> str:
    name, separator, _ = text.partition("=")
    return f"{name}={REDACTED}" if separator and is_secret(name) else text

"""Secrets are hidden wherever requests and responses are shown or kept."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

REDACTED = "[redacted]"

# Substrings that make a header, query parameter or field secret.
_ANYWHERE = re.compile(
    r"authori[sz]ation|cookie|token|secret|api-?key|passw|passphrase|signature|credential"
    r"|private-?key|access-?key|session|bearer|jwt"
)
# Short words that are secret only when they stand alone: not in "author" or "design".
_AS_A_WORD = re.compile(r"(?:^|-)(?:auth|key|sig|pass|pwd|pin|otp)(?:-|$)")
# These end in "key" and identify rather than authorise.
_HARMLESS = frozenset(
    {"idempotency-key", "x-idempotency-key", "surrogate-key", "sec-websocket-key"}
)
_URL_HEADERS = frozenset({"location", "content-location", "referer"})


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Return whether the value of a header, query parameter or field called ``name`` is secret."""
    name = name.lower().replace("_", "-")
    if name in _HARMLESS:
        return False
    return bool(_ANYWHERE.search(name) or _AS_A_WORD.search(name))


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
    query = "&".join(_parameter(text) for text in parts.query.split("&"))
    if netloc == parts.netloc and query == parts.query:
        # Building the URL again would change its spelling.
        return value
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))


def _parameter(text: str) -> str:
    name, separator, _ = text.partition("=")
    return f"{name}={REDACTED}" if separator and is_secret(name) else text

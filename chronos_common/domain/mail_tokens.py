"""Tokens that prove that somebody reads the mail of an address: random, and stored as a hash."""

import hashlib
import secrets

_BYTES = 32


def new() -> str:
    """Return a new token, for an e-mail."""
    return secrets.token_urlsafe(_BYTES)


def digest(token: str) -> str:
    """Return what is stored of a token: with 256 random bits, a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()

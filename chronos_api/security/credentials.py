"""The credentials of a request: an access token, an API key, a ticket, or a browser's session."""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from flask import json, request

from chronos_api.security import browser_sessions, tokens
from chronos_api.security.browser_sessions import BrowserSession
from chronos_api.security.tokens import Ticket
from chronos_common.errors import Unauthenticated

KEY_START = "chr_"
KEY_HEADER = "X-API-Key"
KEY_PARAMETER = "api_key"
TICKET_PARAMETER = "ticket"

_PREFIX_LENGTH, _SECRET_LENGTH = 10, 40
_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"({KEY_START}[a-z0-9]{{{_PREFIX_LENGTH}}})_[A-Za-z0-9]{{{_SECRET_LENGTH}}}")


class KeyRefused(Unauthenticated):
    """There is no such API key, or it was revoked or has expired. Make another."""


class LoginEnded(tokens.TokenRefused):
    """This login was ended, or the account is disabled. Log in."""


@dataclass(frozen=True, slots=True)
class KeyText:
    """The stored parts of an API key: its public prefix and the SHA-256 of the whole.

    A plain hash is enough, because there are 238 random bits in a key.
    """

    prefix: str
    sha256: str
    refusal: KeyRefused

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the stored parts of a key. Raises :class:`KeyRefused` if it is not one."""
        matched = _KEY.fullmatch(text)
        if matched is None:
            raise KeyRefused
        return cls(matched[1], hashlib.sha256(text.encode()).hexdigest(), KeyRefused())


@dataclass(frozen=True, slots=True)
class LoginText:
    """An access token of a login."""

    user_id: UUID
    family_id: UUID
    refusal: LoginEnded


def new_key() -> str:
    """Return a new API key, like ``chr_k3x9...``. It cannot be found from its stored parts."""
    prefix = "".join(
        secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_PREFIX_LENGTH)
    )
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{KEY_START}{prefix}_{secret}"


Presented = KeyText | LoginText | Ticket | BrowserSession


def presented(*, or_parameter: bool, or_ticket: bool) -> Presented:
    """Return the credentials of the current request: of a header, a parameter or the cookie.

    Headers come first. ``or_parameter`` looks for ``api_key`` in the query or the body too, and
    ``or_ticket`` for ``ticket`` in the query. Raises
    :class:`~chronos_common.errors.Unauthenticated` if there is nothing that could be any of them,
    and :class:`~chronos_api.security.browser_sessions.PageOutdated`.
    """
    authorization = request.authorization
    if authorization is not None and authorization.type == "bearer" and authorization.token:
        text = authorization.token
        return KeyText.read(text) if text.startswith(KEY_START) else _login(text)
    key = request.headers.get(KEY_HEADER)
    if key is None and or_parameter and authorization is None:
        key = _parameter()
    if key is not None:
        return KeyText.read(key)
    if or_ticket and authorization is None and TICKET_PARAMETER in request.args:
        return tokens.read_ticket(request.args[TICKET_PARAMETER])
    session = browser_sessions.presented() if authorization is None else None
    if session is None:
        raise Unauthenticated
    return session


def _login(token: str) -> LoginText:
    claims = tokens.read(token, tokens.ACCESS)
    return LoginText(claims.user_id, claims.family_id, LoginEnded())


def _parameter() -> str | None:
    """Return ``api_key`` of the query or of the JSON body, whose errors the route reports."""
    key: object = request.args.get(KEY_PARAMETER)
    if key is None and request.is_json:
        try:
            # Kept, for the route that reads it again.
            body = json.loads(request.get_data(cache=True))
        except (ValueError, RecursionError):
            return None
        key = body.get(KEY_PARAMETER) if isinstance(body, dict) else None
    return key if isinstance(key, str) else None

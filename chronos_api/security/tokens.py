"""JSON Web Tokens: short access tokens, refresh tokens for one use, sessions, and tickets.

A ticket opens the event stream for a browser, whose ``EventSource`` can send no header. It stands
in an address, and addresses get into logs and histories, so it ends within a minute and serves
for nothing else. Within that minute it serves again: an ``EventSource`` whose connection breaks
comes back with the same address. It names the login or the API key that made it. Their
rights are looked up when it is used, so it never allows more than they may do at that moment.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
)
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from chronos_common import clock
from chronos_common.errors import Unauthenticated
from chronos_common.settings import Settings

ACCESS = "access"
REFRESH = "refresh"

TICKET_LIFETIME = timedelta(seconds=60)

_TICKET = "ticket"
_SESSION = "session"
_CSRF = "csrf"
_FAMILY = "family"
_KEY = "key"
_WORKSPACE = "workspace"
_ISSUER = "chronos"
_LEEWAY_SECONDS = 10
_REMEMBERED = 1024


class TokenRefused(Unauthenticated):
    """The token is not valid, or it has expired. Log in again."""


class TicketRefused(Unauthenticated):
    """The ticket is not valid any more.

    It serves for a minute, and as long as the login or the API key that made it. Make another:
    POST /api/v1/events/ticket.
    """


@dataclass(frozen=True, slots=True)
class Ticket:
    """The content of a ticket: its maker, their login or API key, and the workspace."""

    user_id: UUID
    workspace_id: UUID
    family_id: UUID | None
    key_id: UUID | None

    @property
    def refusal(self) -> TicketRefused:
        """Return the error to raise if the maker's login or key has ended."""
        return TicketRefused()


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a token: its user, and the login (``family``) that it belongs to."""

    id: UUID
    user_id: UUID
    family_id: UUID


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """The content of a browser's session: its login, and the token of its forms."""

    user_id: UUID
    family_id: UUID
    csrf: str
    age: timedelta


def register(app: Flask, settings: Settings) -> None:
    """Sign and check the tokens of this application with its secret key."""
    app.config.update(
        JWT_SECRET_KEY=settings.secret_key,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_token_minutes),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.refresh_token_days),
        JWT_ENCODE_ISSUER=_ISSUER,
        JWT_DECODE_ISSUER=_ISSUER,
        JWT_DECODE_LEEWAY=_LEEWAY_SECONDS,
        # That protects the cookies of flask-jwt-extended. Those here are of browser_sessions.
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    JWTManager(app)


def access_token(user_id: UUID, family_id: UUID) -> str:
    """Return a token that stands for the user for some minutes."""
    token: str = create_access_token(str(user_id), additional_claims={_FAMILY: str(family_id)})
    return token


def refresh_token(token_id: UUID, user_id: UUID, family_id: UUID) -> str:
    """Return a token that can be exchanged once for new ones."""
    token: str = create_refresh_token(
        str(user_id), additional_claims={_FAMILY: str(family_id), "jti": str(token_id)}
    )
    return token


def read(token: str, kind: str) -> Claims:
    """Return the content of a token of ``kind`` access or refresh.

    Raises :class:`TokenRefused` if it is not ours, was changed, has expired or is of another kind.
    """
    try:
        claims = _verified(token, current_app.config["JWT_SECRET_KEY"])
        if claims["exp"] + _LEEWAY_SECONDS <= time.time():
            raise TokenRefused
        if claims["type"] != kind:
            raise TokenRefused(f"This is not a token for this purpose; send the {kind} token.")
        return Claims(UUID(claims["jti"]), UUID(claims["sub"]), UUID(claims[_FAMILY]))
    except (PyJWTError, JWTExtendedException, KeyError, ValueError, TypeError) as error:
        raise TokenRefused from error


def session_token(user_id: UUID, family_id: UUID, *, csrf: str) -> str:
    """Return a token that stands for the user's login in a browser, as long as a refresh token."""
    claims = {"type": _SESSION, _FAMILY: str(family_id), _CSRF: csrf}
    token: str = create_access_token(
        str(user_id),
        additional_claims=claims,
        expires_delta=current_app.config["JWT_REFRESH_TOKEN_EXPIRES"],
    )
    return token


def read_session(text: str) -> SessionClaims:
    """Return the content of a browser's session. Raises :class:`TokenRefused`."""
    try:
        claims = _verified(text, current_app.config["JWT_SECRET_KEY"])
        if claims["type"] != _SESSION or claims["exp"] <= time.time():
            raise TokenRefused
        return SessionClaims(
            UUID(claims["sub"]),
            UUID(claims[_FAMILY]),
            str(claims[_CSRF]),
            age=timedelta(seconds=time.time() - claims["iat"]),
        )
    except (PyJWTError, JWTExtendedException, KeyError, ValueError, TypeError) as error:
        raise TokenRefused from error


def write_ticket(ticket: Ticket) -> tuple[str, datetime]:
    """Return the text of a new ticket, and when it ends."""
    ends = clock.host_now().replace(microsecond=0) + TICKET_LIFETIME
    maker = {_FAMILY: str(ticket.family_id)} if ticket.family_id else {_KEY: str(ticket.key_id)}
    # An access token differs from it by the type alone, which ``read`` compares.
    claims = {"type": _TICKET, "exp": ends, _WORKSPACE: str(ticket.workspace_id), **maker}
    text: str = create_access_token(str(ticket.user_id), additional_claims=claims)
    return text, ends


def read_ticket(text: str) -> Ticket:
    """Return the content of a ticket. Raises :class:`TicketRefused`."""
    try:
        claims = _verified(text, current_app.config["JWT_SECRET_KEY"])
        # The leeway is for hosts whose clocks differ. A minute is a promise.
        if claims["type"] != _TICKET or claims["exp"] <= clock.host_now().timestamp():
            raise TicketRefused
        return Ticket(
            user_id=UUID(claims["sub"]),
            workspace_id=UUID(claims[_WORKSPACE]),
            family_id=UUID(claims[_FAMILY]) if _FAMILY in claims else None,
            key_id=UUID(claims[_KEY]) if _KEY in claims else None,
        )
    except (PyJWTError, JWTExtendedException, KeyError, ValueError, TypeError) as error:
        raise TicketRefused from error


@lru_cache(_REMEMBERED)
def _verified(token: str, _secret: str) -> dict[str, Any]:
    """Return the claims of a token that was ours and had not expired when it was first read.

    A client sends the same token for minutes. Decoding it takes a tenth of a short request.
    """
    claims: dict[str, Any] = decode_token(token)
    return claims

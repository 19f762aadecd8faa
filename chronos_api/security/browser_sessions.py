"""Sessions of browsers: a login in a cookie, and the token that its changes have to bring along.

The cookie holds a JSON Web Token that no script of the page can read. A browser sends it with
every request, also with one that another site has caused. So each request that changes something
has to prove that it comes from a page of this API:

1. It brings the session's own token, as a form field or as a header. Other sites cannot read it.
2. If the browser says from where the request comes, then it is from here (Fetch Metadata).
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import current_app, request
from werkzeug.wrappers import Response

from chronos_api.security import tokens
from chronos_common.errors import Forbidden, Unauthenticated

TOKEN_FIELD = "csrf_token"  # noqa: S105 - the name of a field
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - the name of a header

#: A page view renews a session that is older.
RENEWED_AFTER = timedelta(days=1)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# The prefix keeps other hosts of the same domain from setting the cookie. It needs https.
_COOKIE, _PLAIN_COOKIE = "__Host-chronos", "chronos"
_FORM_COOKIE, _PLAIN_FORM_COOKIE = "__Host-chronos-form", "chronos-form"
_OWN_SITES = frozenset({"same-origin", "none"})


class PageOutdated(Forbidden):
    """This page is too old, or another site sent this form. Load the page again, and repeat it."""


class SessionEnded(Unauthenticated):
    """The session has ended. Log in again."""


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A login of a browser. ``csrf`` is the token that its changes bring along."""

    user_id: UUID
    family_id: UUID
    csrf: str
    is_due: bool

    @property
    def refusal(self) -> SessionEnded:
        """Return the error to raise if the login has ended."""
        return SessionEnded()


def presented() -> BrowserSession | None:
    """Return the session of the current request, or None if it brings none that is valid.

    Raises :class:`PageOutdated` if it changes something without the session's own token.
    """
    text = request.cookies.get(_name(_COOKIE, _PLAIN_COOKIE))
    if text is None:
        return None
    try:
        claims = tokens.read_session(text)
    except tokens.TokenRefused:
        return None
    if request.method not in _SAFE:
        check_token(claims.csrf)
    return BrowserSession(
        claims.user_id, claims.family_id, claims.csrf, is_due=claims.age > RENEWED_AFTER
    )


def check_token(expected: str) -> None:
    """Raise :class:`PageOutdated` unless the request brings the ``expected`` token from here."""
    given = request.headers.get(TOKEN_HEADER) or request.form.get(TOKEN_FIELD, "")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _OWN_SITES:
        raise PageOutdated
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise PageOutdated


def start(response: Response, user_id: UUID, family_id: UUID, *, csrf: str | None = None) -> None:
    """Give the browser a session of this login.

    A session that goes on keeps its ``csrf``, which the pages that are open have.
    """
    lifetime = current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]
    text = tokens.session_token(user_id, family_id, csrf=csrf or secrets.token_urlsafe(24))
    _set(response, _name(_COOKIE, _PLAIN_COOKIE), text, lifetime, same_site="Lax")


def end(response: Response) -> None:
    """Take the session from the browser, and everything that it has kept of the pages."""
    response.delete_cookie(
        _name(_COOKIE, _PLAIN_COOKIE), secure=request.is_secure, httponly=True, samesite="Lax"
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def form_token() -> str:
    """Return the token of a form that needs no login."""
    return request.cookies.get(_name(_FORM_COOKIE, _PLAIN_FORM_COOKIE)) or secrets.token_urlsafe(
        24
    )


def keep_form_token(response: Response, token: str) -> None:
    """Let the browser keep the token of a form, for :func:`check_form_token`."""
    name = _name(_FORM_COOKIE, _PLAIN_FORM_COOKIE)
    _set(response, name, token, timedelta(hours=12), same_site="Strict")


def check_form_token() -> None:
    """Raise :class:`PageOutdated` unless the form has the token that this browser keeps."""
    kept = request.cookies.get(_name(_FORM_COOKIE, _PLAIN_FORM_COOKIE), "")
    if not kept:
        raise PageOutdated
    check_token(kept)


def _name(secure: str, plain: str) -> str:
    return secure if request.is_secure else plain


def _set(
    response: Response, name: str, value: str, lifetime: timedelta, *, same_site: str
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=lifetime,
        secure=request.is_secure,
        httponly=True,
        samesite=same_site,
        path="/",
    )

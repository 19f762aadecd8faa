"""Who calls, and what they may: the one place that enforces authentication and roles.

Every route declares its :class:`Access`; an application with a route that does not is not built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, g, request
from sqlalchemy import Engine

from chronos_api import limits, tokens
from chronos_api.context import current
from chronos_api.limits import Rate
from chronos_common.errors import Forbidden, Unauthenticated
from chronos_common.settings import Settings
from chronos_common.storage import users
from chronos_common.storage.database import transaction

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "chronos_access"


class Role(StrEnum):
    """What a member may do in a workspace; each role includes those before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        """Tell whether whoever has this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route (``role`` None: everybody), and how often."""

    role: Role | None
    rate: Rate = Rate.NORMAL


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who calls, in the workspace of the request."""

    user_id: UUID
    workspace_id: UUID
    role: Role
    family_id: UUID


def requires(role: Role) -> Callable[[View], View]:
    """Let only members with ``role``, or one that includes it, call the decorated route."""
    return _declare(Access(role))


def public(rate: Rate = Rate.NORMAL) -> Callable[[View], View]:
    """Let everybody call the decorated route."""
    return _declare(Access(None, rate))


def _declare(access: Access) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, access)
        # Where flask-smorest keeps what a blueprint documents of a view.
        documentation = getattr(view, "_apidoc", {}) | {"access": access}
        view._apidoc = documentation  # type: ignore[attr-defined]  # noqa: SLF001
        return view

    return decorate


def access_of(view: Callable[..., Any]) -> Access:
    """Return what a route declares."""
    return cast(Access, getattr(view, _ATTRIBUTE))


def register(app: Flask, settings: Settings) -> None:
    """Find out who calls before the rate limit counts, and whether they may after it."""
    app.before_request(_identify)
    limits.register(app, settings, caller=_caller, rate=requested_rate)
    app.before_request(_enforce)


def check_routes(app: Flask) -> None:
    """Raise ``AttributeError`` if a route does not declare its access."""
    for view in app.view_functions.values():
        access_of(view)


def principal() -> Principal:
    """Return who calls; only in routes that require a role."""
    return cast(Principal, g.principal)


def _requested() -> Access | None:
    """Return the access of the current route; None where there is no route, or just OPTIONS."""
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    return access_of(current_app.view_functions[request.endpoint])


def requested_rate() -> Rate:
    """Return which limit the current route has."""
    access = _requested()
    return access.rate if access else Rate.NORMAL


def _caller() -> str:
    return f"user:{g.principal.user_id}" if "principal" in g else f"address:{limits.address()}"


def _identify() -> None:
    """Note the principal, or why there is none: refusing before the limit would evade it."""
    access = _requested()
    if access is None or access.role is None:
        return
    try:
        g.principal = _authenticate(current().engine)
    except Unauthenticated as error:
        g.refusal = error


def _enforce() -> None:
    if "refusal" in g:
        raise g.refusal
    access = _requested()
    if access and access.role and not principal().role.includes(access.role):
        raise Forbidden(
            f"This needs the role '{access.role}' in this workspace; yours is "
            f"'{principal().role}'."
        )


def _authenticate(engine: Engine) -> Principal:
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise Unauthenticated
    claims = tokens.read(authorization.token, tokens.ACCESS)
    with transaction(engine) as connection:
        member = users.find_logged_in(connection, claims.user_id, claims.family_id)
    if member is None:
        raise tokens.TokenRefused("This login was ended, or the account is disabled; log in.")
    return Principal(
        user_id=member["id"],
        workspace_id=member["workspace_id"],
        role=Role(member["role"]),
        family_id=claims.family_id,
    )

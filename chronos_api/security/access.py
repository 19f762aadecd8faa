"""Callers and their rights: the one place that enforces authentication, roles and scopes.

Every route declares its :class:`Access`. An application with a route that does not is not built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, g, request

from chronos_api.context import current
from chronos_api.security import authentication, rate_limits
from chronos_api.security.authentication import WorkspaceNotFound
from chronos_api.security.rate_limits import Counted, Rate
from chronos_common.errors import ChronosError, Forbidden
from chronos_common.settings import Settings
from chronos_common.storage.accounts.authentication import Identity

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "chronos_access"


class UnverifiedAccount(Forbidden):
    """Your e-mail address is not verified.

    Follow the e-mail that was sent to it, or ask for another: POST /api/v1/auth/email/resend.
    """


class AccessMissing(ChronosError):
    """A route does not say who may call it."""

    def __init__(self, view: Callable[..., Any]) -> None:
        super().__init__(
            f"{view.__module__}.{view.__name__} declares no access: add @requires(...), "
            "@requires_login() or @public() next to the function."
        )


class Role(StrEnum):
    """The rights of a member in a workspace. Each role includes those before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        """Return whether this role has all rights of ``other``."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """The rights of an API key. A login has the rights of its role."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    EXECUTIONS_READ = "executions:read"
    EXECUTIONS_WRITE = "executions:write"
    STATS_READ = "stats:read"
    WORKSPACE_READ = "workspace:read"
    WORKSPACE_WRITE = "workspace:write"
    AUDIT_READ = "audit:read"


class Audience(Enum):
    """The callers that a route is for."""

    EVERYBODY = auto()
    ACCOUNTS = auto()
    MEMBERS = auto()
    OPERATORS = auto()


@dataclass(frozen=True, slots=True)
class Access:
    """The callers that a route is for, and their rate limit.

    A member needs ``role``, and an API key needs ``scope`` (None: no key may call the route).
    With ``key_parameter`` the key may also come as ``api_key`` in the query or the JSON body, with
    ``ticket`` a ticket may stand in the query.
    """

    audience: Audience
    role: Role | None = None
    scope: Scope | None = None
    rate: Rate = Rate.NORMAL
    key_parameter: bool = False
    ticket: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The user who calls, by a login (``family_id``) or by an API key (``key_id``)."""

    user_id: UUID
    family_id: UUID | None
    key_id: UUID | None
    email: str
    is_operator: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who calls, in the workspace of the request, by a login or by an API key."""

    user_id: UUID
    workspace_id: UUID
    role: Role
    family_id: UUID | None = None
    key_id: UUID | None = None


def requires(
    role: Role,
    scope: Scope | None,
    *,
    rate: Rate = Rate.NORMAL,
    key_parameter: bool = False,
    ticket: bool = False,
) -> Callable[[View], View]:
    """Let only members with ``role``, or one that includes it, call the decorated route.

    An API key needs ``scope`` as well (None: no key may). With ``key_parameter``, ``api_key`` in
    the query or the JSON body is a key, too. With ``ticket``, the query may have a ticket, which
    the route then has to expect.
    """
    return _declare(Access(Audience.MEMBERS, role, scope, rate, key_parameter, ticket))


def requires_login(
    scope: Scope | None = None, *, rate: Rate = Rate.NORMAL
) -> Callable[[View], View]:
    """Let every account call the decorated route, with or without a workspace.

    An API key may call it only if ``scope`` is given, and the key has it.
    """
    return _declare(Access(Audience.ACCOUNTS, scope=scope, rate=rate))


def check_scope(scope: Scope | None) -> None:
    """Raise ``Forbidden`` if an API key calls that lacks ``scope``. None is for logins alone."""
    if account().key_id is None:
        return
    if scope is None:
        raise Forbidden("An API key cannot do this; log in, and send the access token.")
    if scope not in g.scopes:
        raise Forbidden(f"This API key lacks the scope '{scope}'; make one that has it.")


def requires_operator() -> Callable[[View], View]:
    """Let only those who run this installation call the decorated route."""
    return _declare(Access(Audience.OPERATORS))


def public(rate: Rate = Rate.NORMAL) -> Callable[[View], View]:
    """Let everyone call the decorated route."""
    return _declare(Access(Audience.EVERYBODY, rate=rate))


def _declare(access: Access) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, access)
        # flask-smorest keeps the documentation of a view here.
        documentation = getattr(view, "_apidoc", {}) | {"access": access}
        view._apidoc = documentation  # type: ignore[attr-defined]  # noqa: SLF001
        return view

    return decorate


def access_of(view: Callable[..., Any]) -> Access:
    """Return the access that a route declares. Raises :class:`AccessMissing`."""
    access: Access | None = getattr(view, _ATTRIBUTE, None)
    if access is None:
        raise AccessMissing(view)
    return access


def register(app: Flask, settings: Settings) -> None:
    """Identify callers before the rate limit counts, and check their rights after it."""
    app.before_request(_identify)
    counted = [
        Counted("requests", settings.rate_limit, _counted(_caller)),
        Counted("user-requests", settings.user_rate_limit, _counted(_user)),
        Counted("workspace-requests", settings.workspace_rate_limit, _counted(_workspace)),
    ]
    rate_limits.register(app, settings, counted=counted, rate=requested_rate)
    app.before_request(_enforce)


def check_routes(app: Flask) -> None:
    """Raise :class:`AccessMissing` if a route does not declare its access."""
    for view in app.view_functions.values():
        access_of(view)


def account() -> Account:
    """Return the account that calls. Only for routes that are not public."""
    return cast(Account, g.account)


def principal() -> Principal:
    """Return the member that calls. Only for routes that require a role."""
    return cast(Principal, g.principal)


def membership() -> Principal | None:
    """Return the member that calls, or None if the account is no member of any workspace."""
    return cast("Principal | None", g.get("principal"))


def _requested() -> Access | None:
    """Return the access of the current route, or None for no route and for OPTIONS."""
    if request.endpoint is None or request.method == "OPTIONS":
        return None
    return access_of(current_app.view_functions[request.endpoint])


def requested_rate() -> Rate:
    """Return which limit the current route has."""
    access = _requested()
    return access.rate if access else Rate.NORMAL


def requested_scope() -> Scope | None:
    """Return the scope of the current route."""
    access = _requested()
    return access.scope if access else None


def _counted(whose: Callable[[], str | None]) -> Callable[[], str | None]:
    """Return ``whose`` for the routes that have a limit."""
    return lambda: None if requested_rate() is Rate.NONE else whose()


def _user() -> str | None:
    """Return the user over all keys and logins, so that more keys give no more requests."""
    return str(account().user_id) if "account" in g else None


def _workspace() -> str | None:
    """Return the workspace over all members."""
    member = membership()
    return str(member.workspace_id) if member else None


def _caller() -> str:
    """Return whose requests are counted together: a key's, a user's or an address's."""
    if "account" not in g:
        return f"address:{rate_limits.network()}"
    caller = account()
    return f"key:{caller.key_id}" if caller.key_id else f"user:{caller.user_id}"


def _identify() -> None:
    """Keep the caller, or the reason to refuse: refusing here would evade the rate limit."""
    access = _requested()
    if access is None or access.audience is Audience.EVERYBODY:
        return
    try:
        found, wanted = authentication.identify(
            or_parameter=access.key_parameter, or_ticket=access.ticket
        )
        g.account = _account(found)
        g.scopes = found.scopes
        g.principal = _principal(found, wanted)
    except ChronosError as error:
        g.refusal = error


def _account(found: Identity) -> Account:
    return Account(
        user_id=found.user_id,
        family_id=found.family_id,
        key_id=found.key_id,
        email=found.email,
        is_operator=found.is_operator,
        is_verified=found.verified_at is not None,
    )


def _principal(found: Identity, wanted: UUID | None) -> Principal | None:
    if found.workspace_id is None or found.role is None:
        if wanted is not None:
            raise WorkspaceNotFound
        return None
    return Principal(
        user_id=found.user_id,
        workspace_id=found.workspace_id,
        role=Role(found.role),
        family_id=found.family_id,
        key_id=found.key_id,
    )


def _enforce() -> None:
    if "refusal" in g:
        raise g.refusal
    access = _requested()
    if access is None or access.audience is Audience.EVERYBODY:
        return
    check_scope(access.scope)
    if access.audience is Audience.OPERATORS and not account().is_operator:
        raise Forbidden("Only the operator of this installation may do this.")
    if access.audience is Audience.MEMBERS:
        _check_member(cast(Role, access.role))


def _check_member(role: Role) -> None:
    if current().settings.require_verified_email and not account().is_verified:
        raise UnverifiedAccount
    member = membership()
    if member is None:
        raise Forbidden(
            "You are not a member of any workspace. Create one with POST /api/v1/workspaces, or "
            "accept an invitation."
        )
    if not member.role.includes(role):
        raise Forbidden(
            f"This needs the role '{role}' in this workspace; yours is '{member.role}'."
        )

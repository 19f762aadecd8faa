"""``/api/v1/auth``: register, log in, refresh, log out, and read one's own account."""

from datetime import timedelta
from uuid import UUID

from flask import Response, jsonify

from chronos_api.accounts import passwords, registrations, service
from chronos_api.accounts.schemas import (
    Credentials,
    Me,
    Refresh,
    Registration,
    Sessions,
    Tokens,
)
from chronos_api.accounts.service import Login
from chronos_api.context import current
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security import tokens
from chronos_api.security.access import (
    Role,
    Scope,
    account,
    membership,
    public,
    requires_login,
)
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call
from chronos_common.domain.hosts import is_loopback
from chronos_common.errors import Forbidden

blueprint = Blueprint(
    "auth", __name__, url_prefix="/api/v1/auth", description="Accounts and logins"
)


@blueprint.route("/register", "POST")
@blueprint.body(Registration)
@blueprint.answers(201, Tokens)
@blueprint.or_answers(
    202, description="The account will be there once the e-mail to its address was read"
)
@blueprint.problems(problems.CONFLICT, problems.FORBIDDEN, problems.NOT_FOUND)
@public(Rate.LOGIN)
def register_account(body: dict[str, str]) -> Response:
    """Create an account.

    It comes with a workspace of its own, and is logged in. The token of an invitation makes it a
    member of that workspace too, even where registration is closed. If only this machine reaches
    the API, the first account is the operator.

    Where addresses are verified, the answer is 202 without a body, whether the address has an
    account or not. The e-mail says which, and holds a token for auth/email/verify. Then log in.
    The token of an invitation, which came by e-mail itself, needs no other.
    """
    settings = current().settings
    if not settings.registration_open and "invitation" not in body:
        raise Forbidden(
            "This installation takes new accounts by invitation only. Ask its operator, who makes "
            "them with 'chronos admin create'."
        )
    if settings.verifies_email and "invitation" not in body:
        registrations.request(public_call(), **body)
        return Response(status=202)
    login = service.register(
        public_call(),
        **body,
        first_operates=is_loopback(settings.api_host),
        lifetime=_refresh_lifetime(),
    )
    return _tokens(login)


@blueprint.route("/login", "POST")
@blueprint.body(Credentials)
@blueprint.answers(200, Tokens)
@blueprint.problems(problems.UNAUTHENTICATED)
@public(Rate.LOGIN)
def log_in(body: dict[str, str]) -> Response:
    """Log in.

    An account with a second factor also needs a `code`. Without one, the right password gets the
    problem `second-factor-required`.

    After some failures for an address, whether it has an account or not, each one is followed by
    a longer wait.
    """
    with passwords.guarding(body["email"], "password"):
        result = service.log_in(public_call(), **body, lifetime=_refresh_lifetime())
    return _tokens(result)


@blueprint.route("/refresh", "POST")
@blueprint.body(Refresh)
@blueprint.answers(200, Tokens)
@blueprint.problems(problems.UNAUTHENTICATED)
@public()
def refresh_tokens(body: dict[str, str]) -> Response:
    """Exchange a refresh token for new tokens.

    Each one can be used once. Using one again ends the login, because another person may have it.
    """
    result = service.refresh(public_call(), body["refresh_token"], lifetime=_refresh_lifetime())
    return _tokens(result)


@blueprint.route("/logout", "POST")
@blueprint.answers(204)
@requires_login()
def log_out() -> Response:
    """End this login. All of its tokens are refused from now on."""
    service.log_out(account_call())
    return Response(status=204)


@blueprint.route("/logout-all", "POST")
@blueprint.answers(204)
@requires_login()
def log_out_everywhere() -> Response:
    """End every login of this account, this one included. API keys go on."""
    service.log_out_everywhere(account_call())
    return Response(status=204)


@blueprint.route("/sessions", "GET")
@blueprint.answers(200, Sessions)
@requires_login()
def list_sessions() -> Response:
    """List your logins that have not ended, the latest used first.

    ``user_agent`` and ``address`` are those of the latest login or refresh.
    """
    current = account().family_id
    rows = [
        {**row, "is_current": row["id"] == current}
        for row in service.list_sessions(account_call())
    ]
    return jsonify(Sessions.of({"items": rows}))


@blueprint.route("/sessions/<uuid:session_id>", "DELETE")
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND)
@requires_login()
def end_session(session_id: UUID) -> Response:
    """End one of your logins, this one too. All of its tokens are refused from now on."""
    service.end_session(account_call(), session_id)
    return Response(status=204)


@blueprint.route("/me", "GET")
@blueprint.answers(200, Me)
@requires_login(Scope.WORKSPACE_READ)
def get_me() -> Response:
    """Read your account, the workspace of the request, and your other workspaces.

    An API key reads only its own workspace.
    """
    where = membership()
    found = service.profile(account_call(), where.workspace_id if where else None)
    workspace = None
    if where and found.workspace:
        may_see_secret = where.role is Role.OWNER and where.key_id is None
        secret = found.workspace["signing_secret"] if may_see_secret else None
        workspace = {**found.workspace, "role": where.role, "signing_secret": secret}
    me = {"user": found.user, "workspace": workspace, "workspaces": found.memberships}
    return jsonify(Me.of(me))


def _refresh_lifetime() -> timedelta:
    return timedelta(days=current().settings.refresh_token_days)


def _tokens(login: Login) -> Response:
    user_id = login.user["id"]
    made = {
        "access_token": tokens.access_token(user_id, login.family_id),
        "refresh_token": tokens.refresh_token(login.refresh_token_id, user_id, login.family_id),
        "token_type": "Bearer",
        "expires_in": current().settings.access_token_minutes * 60,
        "user": login.user,
    }
    return jsonify(Tokens.of(made))

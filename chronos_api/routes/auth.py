"""``/api/v1/auth``: register, log in, refresh, log out, and who calls."""

from datetime import timedelta
from typing import Any

from flask import Response, jsonify

from chronos_api import answers, problems, tokens
from chronos_api.access import Role, principal, public, requires
from chronos_api.blueprints import Blueprint
from chronos_api.context import current
from chronos_api.limits import Rate
from chronos_api.schemas.accounts import Credentials, Me, Refresh, Registration, Tokens
from chronos_api.services import accounts
from chronos_api.services.accounts import Login
from chronos_common import clock
from chronos_common.errors import Forbidden

blueprint = Blueprint(
    "auth", __name__, url_prefix="/api/v1/auth", description="Accounts and logins"
)


@blueprint.route("/register", "POST")
@blueprint.body(Registration)
@blueprint.answers(201, Tokens)
@blueprint.problems(problems.CONFLICT, problems.FORBIDDEN)
@public(Rate.LOGIN)
def register(body: dict[str, str]) -> Response:
    """Create an account.

    It comes with a workspace of its own, and is logged in.
    """
    if not current().settings.registration_open:
        raise Forbidden("This installation does not take new accounts; ask its operator.")
    login = accounts.register(
        current().engine, **body, lifetime=_refresh_lifetime(), now=clock.now()
    )
    return _tokens(login, 201)


@blueprint.route("/login", "POST")
@blueprint.body(Credentials)
@blueprint.answers(200, Tokens)
@blueprint.problems(problems.UNAUTHENTICATED)
@public(Rate.LOGIN)
def login(body: dict[str, str]) -> Response:
    """Log in."""
    result = accounts.log_in(
        current().engine, **body, lifetime=_refresh_lifetime(), now=clock.now()
    )
    return _tokens(result, 200)


@blueprint.route("/refresh", "POST")
@blueprint.body(Refresh)
@blueprint.answers(200, Tokens)
@blueprint.problems(problems.UNAUTHENTICATED)
@public()
def refresh(body: dict[str, str]) -> Response:
    """Exchange a refresh token for new tokens.

    Each one can be used once. Using one again ends the login: somebody else may have it.
    """
    result = accounts.refresh(
        current().engine, body["refresh_token"], lifetime=_refresh_lifetime(), now=clock.now()
    )
    return _tokens(result, 200)


@blueprint.route("/logout", "POST")
@blueprint.answers(204)
@requires(Role.VIEWER)
def logout() -> Response:
    """End this login; all of its tokens are refused from now on."""
    accounts.log_out(current().engine, principal(), now=clock.now())
    return Response(status=204)


@blueprint.route("/me", "GET")
@blueprint.answers(200, Me)
@requires(Role.VIEWER)
def me() -> Response:
    """Who calls, and in which workspace."""
    row = accounts.member(current().engine, principal())
    may_see_secret = principal().role.includes(Role.EDITOR)
    return jsonify(
        {
            "user": _user(row),
            "workspace": {
                "id": str(row["workspace_id"]),
                "name": row["workspace_name"],
                "role": row["role"],
                "signing_secret": row["signing_secret"] if may_see_secret else None,
            },
        }
    )


def _refresh_lifetime() -> timedelta:
    return timedelta(days=current().settings.refresh_token_days)


def _tokens(login: Login, status: int) -> Response:
    user_id = login.user["id"]
    response = jsonify(
        {
            "access_token": tokens.access_token(user_id, login.family_id),
            "refresh_token": tokens.refresh_token(
                login.refresh_token_id, user_id, login.family_id
            ),
            "token_type": "Bearer",
            "expires_in": current().settings.access_token_minutes * 60,
            "user": _user(login.user),
        }
    )
    response.status_code = status
    return response


def _user(row: Any) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "email": row["email"],
        "created_at": answers.time(row["created_at"]),
    }

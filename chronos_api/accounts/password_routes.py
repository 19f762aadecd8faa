"""``/api/v1/auth/password``: change it, or choose another by e-mail."""

from typing import Any

from flask import Response

from chronos_api.accounts import passwords
from chronos_api.accounts.schemas import PasswordChange, PasswordForgotten, PasswordReset
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security import lockouts
from chronos_api.security.access import account, public, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call

blueprint = Blueprint(
    "passwords", __name__, url_prefix="/api/v1/auth/password", description="Changed, or forgotten"
)


@blueprint.route("", "POST")
@blueprint.body(PasswordChange)
@blueprint.answers(204)
@requires_login(rate=Rate.LOGIN)
def change_password(body: dict[str, Any]) -> Response:
    """Change your password. Your other logins end, and on request the API keys that you made.

    An API key goes on otherwise, and so does the thief of one.
    """
    with passwords.guarding(account().email, "current password"):
        passwords.change(account_call(), **body)
    return Response(status=204)


@blueprint.route("/forgot", "POST")
@blueprint.body(PasswordForgotten)
@blueprint.answers(202)
@public(Rate.LOGIN)
def request_password_reset(body: dict[str, str]) -> Response:
    """Ask for an e-mail with a token that lets you choose another password.

    The answer is the same whether there is such an account or not.
    """
    passwords.request_reset(public_call(), body["email"])
    return Response(status=202)


@blueprint.route("/reset", "POST")
@blueprint.body(PasswordReset)
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND)
@public(Rate.LOGIN)
def reset_password(body: dict[str, str]) -> Response:
    """Choose another password with the token from the e-mail.

    You then have the account alone: its logins, API keys, invitations and other tokens end. If
    its address was not verified before, the other members leave its workspaces, and these get
    new signing secrets.
    """
    email = passwords.reset(public_call(), **body)
    lockouts.trust_network(email)
    return Response(status=204)

"""``/api/v1/auth/email``: prove that an address is one's own."""

from flask import Response

from chronos_api.accounts import email_verification, registrations
from chronos_api.accounts.schemas import VerificationToken
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import public, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call

blueprint = Blueprint(
    "verification", __name__, url_prefix="/api/v1/auth/email", description="E-mail addresses"
)


@blueprint.route("/verify", "POST")
@blueprint.body(VerificationToken)
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND)
@public(Rate.LOGIN)
def verify_email(body: dict[str, str]) -> Response:
    """Confirm your e-mail address with the token that was sent to it.

    The token of a registration creates its account. Then log in.
    """
    if not registrations.confirm(public_call(), body["token"]):
        email_verification.verify(public_call(), body["token"])
    return Response(status=204)


@blueprint.route("/resend", "POST")
@blueprint.answers(202)
@requires_login(rate=Rate.LOGIN)
def resend_verification() -> Response:
    """Ask for another e-mail with a token, at most once a minute."""
    email_verification.send_again(account_call())
    return Response(status=202)

"""``/api/v1/auth/email``: prove that an address is one's own."""

from flask import Response

from chronos_api import problems
from chronos_api.access import account, public, requires_login
from chronos_api.blueprints import Blueprint
from chronos_api.context import current
from chronos_api.limits import Rate
from chronos_api.schemas.accounts import MailToken
from chronos_api.services import verifications
from chronos_common import clock

blueprint = Blueprint(
    "verification", __name__, url_prefix="/api/v1/auth/email", description="E-mail addresses"
)


@blueprint.route("/verify", "POST")
@blueprint.body(MailToken)
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND)
@public(Rate.LOGIN)
def verify(body: dict[str, str]) -> Response:
    """Confirm your e-mail address with the token that was sent to it."""
    verifications.verify(current().engine, body["token"], now=clock.now())
    return Response(status=204)


@blueprint.route("/resend", "POST")
@blueprint.answers(202)
@requires_login(rate=Rate.LOGIN)
def resend() -> Response:
    """Ask for another e-mail with a token, at most once a minute."""
    verifications.send_again(current().engine, account(), now=clock.now())
    return Response(status=202)

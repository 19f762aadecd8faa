"""``/api/v1/auth/device``: a program asks to be let in, and polls for the answer."""

from typing import Any

from flask import Response, jsonify, url_for

from chronos_api.context import current
from chronos_api.device_logins import service
from chronos_api.device_logins.schemas import (
    DeviceCode,
    DeviceCodesAnswer,
    DeviceLoginFields,
    StillPending,
)
from chronos_api.device_logins.service import Pending
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import public
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import public_call
from chronos_api.workspaces.key_schemas import NewKeyAnswer
from chronos_common.errors import NotFound

blueprint = Blueprint(
    "device_logins",
    __name__,
    url_prefix="/api/v1/auth/device",
    description="Logins of programs that a person approves in the dashboard",
)


class NoDashboard(NotFound):
    """This installation has no dashboard to log in through. Log in with a password or a key."""


@blueprint.route("", "POST")
@blueprint.body(DeviceLoginFields)
@blueprint.answers(200, DeviceCodesAnswer)
@blueprint.problems(problems.NOT_FOUND)
@public(Rate.LOGIN)
def request_device_login(body: dict[str, Any]) -> Response:
    """Ask for a login by the dashboard.

    Show the person `verification_uri` and `user_code`, and poll auth/device/token meanwhile. It
    follows RFC 8628, with the errors of this API.
    """
    if not current().settings.dashboard:
        raise NoDashboard
    codes = service.request(public_call(), **body)
    page = url_for("ui.device", _external=True)
    return jsonify(
        DeviceCodesAnswer.of(
            {
                "device_code": codes.device_code,
                "user_code": codes.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?code={codes.user_code}",
                "expires_in": int(service.LIFETIME.total_seconds()),
                "interval": service.INTERVAL_SECONDS,
            }
        )
    )


@blueprint.route("/token", "POST")
@blueprint.body(DeviceCode)
@blueprint.answers(200, NewKeyAnswer)
@blueprint.or_answers(202, StillPending, description="Nobody has answered yet")
@blueprint.problems(problems.FORBIDDEN, problems.NOT_FOUND, problems.CONFLICT)
@public()
def poll_device_login(body: dict[str, Any]) -> Response:
    """Exchange a device code for an API key, once, when a person has approved it.

    Poll no sooner than after `interval` seconds. Otherwise the answer is 429, and the interval
    becomes 5 seconds longer. It is 403 if the person refused, and 404 if the code has expired.
    """
    match service.exchange(public_call(), **body):
        case Pending(interval_seconds=seconds):
            response = jsonify(StillPending.of({"interval": seconds}))
            response.status_code = 202
            return response
        case made:
            return jsonify(NewKeyAnswer.of({**made.row, "key": made.text}))

"""``/api/v1/auth/second-factor``: set it up, renew its recovery codes, turn it off."""

from dataclasses import asdict

from flask import Response, jsonify

from chronos_api.accounts import passwords
from chronos_api.accounts.schemas import (
    Code,
    PasswordConfirmation,
    RecoveryCodes,
    SecondFactor,
    SecondFactorProof,
    SecondFactorSetup,
)
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.second_factor import service as second_factor
from chronos_api.security.access import account, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call

blueprint = Blueprint(
    "second_factor",
    __name__,
    url_prefix="/api/v1/auth/second-factor",
    description="A code beside the password",
)


@blueprint.route("", "GET")
@blueprint.answers(200, SecondFactor)
@requires_login()
def get_second_factor() -> Response:
    """Read whether your logins need a code."""
    return jsonify(SecondFactor.of(second_factor.read(account_call())))


@blueprint.route("", "POST")
@blueprint.body(PasswordConfirmation)
@blueprint.answers(201, SecondFactorSetup)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def set_up_second_factor(body: dict[str, str]) -> Response:
    """Make the secret of a second factor. Logins need no code before it is confirmed.

    The answer is the only one that shows the secret. Another request makes another secret.
    """
    with passwords.guarding(account().email, "current password"):
        passwords.confirm(account_call(), body["current_password"])
    made = second_factor.begin_setup(account_call())
    return jsonify(SecondFactorSetup.of(asdict(made)))


@blueprint.route("/confirm", "POST")
@blueprint.body(Code)
@blueprint.answers(200, RecoveryCodes)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def confirm_second_factor(body: dict[str, str]) -> Response:
    """Turn the second factor on, with a code of the secret. Your other logins end.

    The answer has the recovery codes, which no other answer shows again.
    """
    with passwords.guarding(account().email, "second factor"):
        codes = second_factor.confirm_setup(account_call(), body["code"])
    return jsonify(RecoveryCodes.of({"recovery_codes": codes}))


@blueprint.route("/recovery-codes", "POST")
@blueprint.body(SecondFactorProof)
@blueprint.answers(200, RecoveryCodes)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def renew_recovery_codes(body: dict[str, str]) -> Response:
    """Replace your recovery codes. The earlier ones end."""
    with passwords.guarding(account().email, "second factor"):
        passwords.confirm(account_call(), body["current_password"])
        codes = second_factor.renew_recovery_codes(account_call(), body["code"])
    return jsonify(RecoveryCodes.of({"recovery_codes": codes}))


# POST, because a body of DELETE has no meaning to HTTP, and some proxies drop it.
@blueprint.route("/disable", "POST")
@blueprint.body(SecondFactorProof)
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def disable_second_factor(body: dict[str, str]) -> Response:
    """Turn the second factor off, with the password and a code or a recovery code."""
    with passwords.guarding(account().email, "second factor"):
        passwords.confirm(account_call(), body["current_password"])
        second_factor.turn_off(account_call(), body["code"])
    return Response(status=204)

"""The pages of an account: log in and out, register, password, second factor, preferences."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import passwords, registrations, service
from chronos_api.accounts.schemas import (
    Code,
    Credentials,
    PasswordChange,
    PasswordConfirmation,
    Registration,
    SecondFactorProof,
)
from chronos_api.context import current
from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.preferences import service as preferences
from chronos_api.preferences.schemas import PreferencesFields
from chronos_api.preferences.service import Theme
from chronos_api.second_factor import service as second_factor
from chronos_api.security import browser_sessions
from chronos_api.security.access import account as caller
from chronos_api.security.access import public, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call
from chronos_api.ui.blueprint import blueprint, link, safe_page, show, to
from chronos_api.ui.public_forms import (
    lifetime,
    show_done,
    show_form,
    start_session,
    take_form,
    typed,
)
from chronos_common.domain.hosts import is_loopback
from chronos_common.errors import ChronosError, Forbidden


@blueprint.get("/login")
@public()
def log_in() -> AnyResponse:
    """Show the form to log in."""
    return show_form("login.html", typed(request.args, "next"))


@blueprint.post("/login")
@public(Rate.LOGIN)
def log_in_now() -> AnyResponse:
    """Log in, and go on to where the browser wanted to go."""
    given = typed(request.form, "email", "password", "code", "next")
    return take_form("login.html", given, lambda: _log_in(given))


def _log_in(given: dict[str, str]) -> AnyResponse:
    fields = {name: given.get(name, "") for name in _CREDENTIALS}
    body = json_body.load(Credentials, fields | {k: v for k, v in given.items() if k == "code"})
    with passwords.guarding(body["email"], "password"):
        login = service.log_in(public_call(), **body, lifetime=lifetime())
    return start_session(login, safe_page(given.get("next", "")))


_CREDENTIALS = ("email", "password")


@blueprint.get("/register")
@public()
def register() -> AnyResponse:
    """Show the form to make an account."""
    return show_form("register.html", typed(request.args, "invitation", "email"))


@blueprint.post("/register")
@public(Rate.LOGIN)
def register_now() -> AnyResponse:
    """Make an account, and log it in, or send the e-mail that makes it."""
    given = typed(request.form, *_CREDENTIALS, "invitation")
    return take_form("register.html", given, lambda: _register(given))


def _register(given: dict[str, str]) -> AnyResponse:
    settings = current().settings
    if not settings.registration_open and "invitation" not in given:
        raise Forbidden("New accounts need an invitation here. Ask the operator.")
    body = json_body.load(Registration, given)
    if settings.verifies_email and "invitation" not in body:
        registrations.request(public_call(), **body)
        return show_done("Look into your mail", "An e-mail is on its way. Follow it to go on.")
    login = service.register(
        public_call(),
        **body,
        first_operates=is_loopback(settings.api_host),
        lifetime=lifetime(),
    )
    return start_session(login, link("overview"))


@blueprint.post("/logout")
@requires_login()
def log_out() -> AnyResponse:
    """End the session of this browser."""
    service.log_out(account_call())
    response = to("log_in")
    browser_sessions.end(response)
    return response


@blueprint.get("/account")
@requires_login()
def account() -> AnyResponse:
    """Show one's own account."""
    return _account()


def _account(error: ChronosError | None = None, *, is_done: bool = False) -> AnyResponse:
    problem = problem_of(error) if error else None
    response = show(
        "account.html",
        problem=problem,
        is_done=is_done,
        logins=service.list_sessions(account_call()),
        current_login=caller().family_id,
        themes=list(Theme),
    )
    if problem:
        response.status_code = int(problem.kind.status)
    return response


@blueprint.post("/account/password")
@requires_login(rate=Rate.LOGIN)
def change_password() -> AnyResponse:
    """Change one's password, which ends the other logins."""
    names = ("current_password", "new_password")
    given = {name: request.form.get(name, "") for name in names}
    try:
        with passwords.guarding(caller().email, "current password"):
            passwords.change(account_call(), **json_body.load(PasswordChange, given))
    except ChronosError as error:
        return _account(error)
    return _account(is_done=True)


@blueprint.post("/account/preferences")
@requires_login()
def change_preferences() -> AnyResponse:
    """Change how one likes the dashboard."""
    chosen = {
        "time_zone": request.form.get("time_zone", "").strip() or "UTC",
        "theme": request.form.get("theme", ""),
        "shortcuts": "shortcuts" in request.form,
    }
    try:
        checked = json_body.load(PreferencesFields, chosen)
        preferences.change(account_call(), **{name: checked[name] for name in chosen})
    except ChronosError as error:
        return _account(error)
    return to("account")


@blueprint.post("/account/sessions/<uuid:session_id>/end")
@requires_login()
def end_session(session_id: UUID) -> AnyResponse:
    """End one of one's own logins."""
    service.end_session(account_call(), session_id)
    return to("account")


@blueprint.get("/account/second-factor")
@requires_login()
def second_factor_page() -> AnyResponse:
    """Show whether logins need a code, and how to change that."""
    return _second_factor()


@blueprint.post("/account/second-factor")
@requires_login(rate=Rate.LOGIN)
def set_up_second_factor() -> AnyResponse:
    """Show the secret of a new second factor."""

    def work() -> dict[str, Any]:
        body = json_body.load(PasswordConfirmation, _sent("current_password"))
        with passwords.guarding(caller().email, "current password"):
            passwords.confirm(account_call(), body["current_password"])
        return {"setup": second_factor.begin_setup(account_call())}

    return _take_second_factor(work)


@blueprint.post("/account/second-factor/confirm")
@requires_login(rate=Rate.LOGIN)
def confirm_second_factor() -> AnyResponse:
    """Turn the second factor on, and show the recovery codes."""

    def work() -> dict[str, Any]:
        body = json_body.load(Code, _sent("code"))
        with passwords.guarding(caller().email, "second factor"):
            return {"codes": second_factor.confirm_setup(account_call(), body["code"])}

    return _take_second_factor(work, is_confirming=True)


@blueprint.post("/account/second-factor/recovery-codes")
@requires_login(rate=Rate.LOGIN)
def renew_recovery_codes() -> AnyResponse:
    """Show new recovery codes."""
    return _take_second_factor(lambda: {"codes": _proven(second_factor.renew_recovery_codes)})


@blueprint.post("/account/second-factor/disable")
@requires_login(rate=Rate.LOGIN)
def disable_second_factor() -> AnyResponse:
    """Turn the second factor off."""
    return _take_second_factor(lambda: {"is_off": _proven(second_factor.turn_off) is None})


def _proven(change: Callable[[Any, str], Any]) -> Any:
    """Make a change that needs password and code."""
    body = json_body.load(SecondFactorProof, _sent("current_password", "code"))
    with passwords.guarding(caller().email, "second factor"):
        passwords.confirm(account_call(), body["current_password"])
        return change(account_call(), body["code"])


def _sent(*names: str) -> dict[str, str]:
    return {name: request.form.get(name, "") for name in names}


def _take_second_factor(work: Callable[[], dict[str, Any]], **values: Any) -> AnyResponse:
    """Do the work of a form, and show the page with its result or its error."""
    try:
        return _second_factor(**work())
    except ChronosError as error:
        return _second_factor(error, **values)


def _second_factor(error: ChronosError | None = None, **values: Any) -> AnyResponse:
    problem = problem_of(error) if error else None
    state = second_factor.read(account_call())
    response = show("second_factor.html", problem=problem, state=state, **values)
    # It may hold a secret, which no history of a browser has to keep.
    response.headers["Cache-Control"] = "no-store"
    if problem:
        response.status_code = int(problem.kind.status)
    return response

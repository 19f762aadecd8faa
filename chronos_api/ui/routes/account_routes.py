"""The pages on which a browser logs in and out, and registers."""

from datetime import timedelta

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import service
from chronos_api.accounts.schemas import Credentials, Registration
from chronos_api.context import current
from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.security import browser_sessions, lockouts
from chronos_api.security.access import public, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, public_call
from chronos_api.ui.blueprint import blueprint, link, show_public, to
from chronos_common.errors import ChronosError, Forbidden

_START = "/ui/"


@blueprint.get("/login")
@public()
def log_in() -> AnyResponse:
    """Show the form to log in."""
    return _form("login.html", {"next": request.args.get("next", "")})


@blueprint.post("/login")
@public(Rate.LOGIN)
def log_in_now() -> AnyResponse:
    """Log in, and go on to where the browser wanted to go."""
    browser_sessions.check_form_token()
    given = {name: request.form.get(name, "") for name in ("email", "password")}
    try:
        body = json_body.load(Credentials, given)
        with lockouts.guarding(body["email"]):
            login = service.log_in(public_call(), **body, lifetime=_lifetime())
    except ChronosError as error:
        return _form("login.html", given | {"next": request.form.get("next", "")}, error)
    response = redirect(_own_page(request.form.get("next", "")), 303)
    browser_sessions.start(response, login.user["id"], login.family_id)
    return response


@blueprint.get("/register")
@public()
def register() -> AnyResponse:
    """Show the form to make an account."""
    return _form("register.html", {"invitation": request.args.get("invitation", "")})


@blueprint.post("/register")
@public(Rate.LOGIN)
def register_now() -> AnyResponse:
    """Make an account, and log it in."""
    browser_sessions.check_form_token()
    names = ("email", "password", "invitation")
    given = {name: request.form[name] for name in names if request.form.get(name)}
    settings = current().settings
    try:
        if not settings.registration_open and "invitation" not in given:
            raise Forbidden("New accounts need an invitation here. Ask the operator.")
        login = service.register(
            public_call(),
            **json_body.load(Registration, given),
            verify=bool(settings.smtp_url) or settings.require_verified_email,
            lifetime=_lifetime(),
        )
    except ChronosError as error:
        return _form("register.html", given, error)
    response = to("overview")
    browser_sessions.start(response, login.user["id"], login.family_id)
    return response


@blueprint.post("/logout")
@requires_login()
def log_out() -> AnyResponse:
    """End the session of this browser."""
    service.log_out(account_call())
    response = to("log_in")
    browser_sessions.end(response)
    return response


def _form(template: str, values: dict[str, str], error: ChronosError | None = None) -> AnyResponse:
    """Return a form for which nobody is logged in, with the values that were typed."""
    problem = problem_of(error) if error else None
    token = browser_sessions.form_token()
    response: Response = show_public(
        template,
        values=values,
        problem=problem,
        errors=problem.fields if problem else {},
        form_token=token,
        registration_open=current().settings.registration_open,
    )
    response.status_code = int(problem.kind.status) if problem else 200
    if problem:
        response.headers.extend(problem.headers)
    browser_sessions.keep_form_token(response, token)
    return response


def _own_page(path: str) -> str:
    """Return ``path`` if it is a page of this dashboard, or else the first page."""
    is_own = path.startswith(_START) and "\\" not in path and "//" not in path
    return path if is_own and path.isprintable() else link("overview")


def _lifetime() -> timedelta:
    return timedelta(days=current().settings.refresh_token_days)

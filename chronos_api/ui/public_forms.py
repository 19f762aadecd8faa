"""Forms that need no login: they have a token that this browser keeps."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flask import Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts.service import Login
from chronos_api.context import current
from chronos_api.http.errors import problem_of
from chronos_api.security import browser_sessions
from chronos_api.ui.blueprint import show_public
from chronos_common.errors import ChronosError

Work = Callable[[], AnyResponse]


def show_form(
    template: str, values: Mapping[str, str], error: ChronosError | None = None
) -> Response:
    """Return a form with the values that were typed, and with the error that they led to."""
    problem = problem_of(error) if error else None
    token = browser_sessions.form_token()
    response = show_public(
        template,
        values=values,
        problem=problem,
        form_token=token,
        registration_open=current().settings.registration_open,
    )
    if problem:
        response.status_code = int(problem.kind.status)
        response.headers.extend(problem.headers)
    browser_sessions.keep_form_token(response, token)
    return response


def take_form(template: str, values: Mapping[str, str], work: Work) -> AnyResponse:
    """Do the work of a form that was sent from here, or show it again with its error."""
    browser_sessions.check_form_token()
    try:
        return work()
    except ChronosError as error:
        return show_form(template, values, error)


def show_done(title: str, text: str) -> AnyResponse:
    """Return a page that says that something was done."""
    return show_public("done.html", title=title, text=text)


def start_session(login: Login, path: str) -> AnyResponse:
    """Lead to a page, with a session of the login."""
    response = redirect(path, 303)
    browser_sessions.start(response, login.user["id"], login.family_id)
    return response


def lifetime() -> timedelta:
    """Return for how long a login lasts that is not used."""
    return timedelta(days=current().settings.refresh_token_days)


def typed(form: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Return those of the fields that were filled."""
    return {name: form[name] for name in names if form.get(name)}

"""The blueprint of the pages: their addresses, their policy, and their errors.

Each page has two addresses: ``/ui/jobs`` shows the workspace that the user joined first, and
``/ui/w/<id>/jobs`` the one that it names.
"""

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import (
    Blueprint,
    Response,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import service as accounts
from chronos_api.context import current
from chronos_api.http import errors, problems
from chronos_api.http.problems import Problem
from chronos_api.preferences import service as preferences
from chronos_api.preferences.service import Theme
from chronos_api.security import access, browser_sessions
from chronos_api.transactions import account_call
from chronos_api.ui import assets, wording
from chronos_api.ui.places import SHORTCUTS, places_of
from chronos_api.workspaces import service as workspaces
from chronos_common import clock
from chronos_common.domain.timezones.zones import zone_of

NAME = "ui"
IN_WORKSPACE = "ui_workspace"

#: Nothing but this API's own files: no inline script or style, no frame, no plug-in.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types chronos"
)

#: The colours that this browser showed last, for pages that know no user.
_THEME_COOKIE = "chronos-theme"
#: Browsers keep no cookie for longer.
_THEME_LIFETIME = timedelta(days=400)

#: All pages are below it.
_START = "/ui/"

#: A status of HTTP from which on the fault is the server's (RFC 9110, section 15).
_SERVER_ERROR = 500

blueprint = Blueprint(NAME, __name__, template_folder="templates")
blueprint.add_app_template_filter(wording.pretty)


@blueprint.url_value_preprocessor
def _take_workspace(_: str | None, values: dict[str, Any] | None) -> None:
    """Keep the workspace of the path for the authentication and for links."""
    workspace_id: UUID | None = values.pop("workspace", None) if values else None
    g.workspace_in_path = str(workspace_id) if workspace_id else None


def link(page: str, /, **values: Any) -> str:
    """Return the address of a page, in the workspace of the current one."""
    if g.get("workspace_in_path"):
        return url_for(f"{IN_WORKSPACE}.{page}", workspace=g.workspace_in_path, **values)
    return url_for(f"{NAME}.{page}", **values)


def to(page: str, /, **values: Any) -> AnyResponse:
    """Lead to a page, by a request that reads (303)."""
    return redirect(link(page, **values), HTTPStatus.SEE_OTHER)


def safe_page(path: str) -> str:
    """Return ``path`` if it is a page of this dashboard, or else the first page."""
    is_own = path.startswith(_START) and "\\" not in path and "//" not in path
    return path if is_own and path.isprintable() else link("overview")


def show(template: str, **values: Any) -> Response:
    """Return a page of a template, for a caller who has logged in."""
    liked = preferences.read(account_call())
    memberships = workspaces.list_memberships(account_call())
    response = _page(template, {"memberships": memberships, "preferences": liked} | values)
    _renew(response)
    _keep_theme(response, liked.theme)
    return response


def _keep_theme(response: Response, theme: str) -> None:
    """Let the browser keep the colours of its user for the pages before the next login."""
    if request.cookies.get(_THEME_COOKIE, Theme.AUTO) != theme:
        response.set_cookie(
            _THEME_COOKIE,
            theme,
            max_age=_THEME_LIFETIME,
            path=url_for(f"{NAME}.overview"),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )


def _renew(response: Response) -> None:
    """Let a session that is used go on."""
    session = g.get("browser_session")
    if session is not None and session.is_due:
        lifetime = timedelta(days=current().settings.refresh_token_days)
        accounts.extend(account_call(), lifetime=lifetime)
        browser_sessions.start(response, session.user_id, session.family_id, csrf=session.csrf)


def show_public(template: str, **values: Any) -> Response:
    """Return a page of a template for everybody. It asks no database."""
    kept = request.cookies.get(_THEME_COOKIE)
    theme = next((each for each in Theme if each == kept), Theme.AUTO)
    return _page(template, {"preferences": replace(preferences.DEFAULTS, theme=theme)} | values)


def _page(template: str, values: dict[str, Any]) -> Response:
    session, member = g.get("browser_session"), access.membership()
    chosen = values["preferences"]
    text = render_template(
        f"ui/{template}",
        asset=assets.address,
        csrf_token=session.csrf if session else "",
        link=link,
        member=member,
        now=clock.now(),
        places=places_of(member.role if member else None),
        shortcuts=SHORTCUTS,
        user=g.get("account"),
        here=_address_here(),
        **wording.functions(zone_of(chosen.time_zone)),
        **values,
    )
    return Response(text, mimetype="text/html")


@blueprint.after_request
def _restrict(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response


@blueprint.errorhandler(Exception)
def _explain(error: Exception) -> AnyResponse:
    """Show an error as a page, or lead to the login."""
    problem = errors.problem_of(error)
    if problem.kind is problems.UNAUTHENTICATED and request.method == "GET":
        return to("log_in", next=_address_here())
    return error_page(problem)


def error_page(problem: Problem) -> Response:
    """Return the page of a problem."""
    status = int(problem.kind.status)
    response = show_public(
        "error.html",
        problem=problem,
        title=HTTPStatus(status).phrase,
        is_fault=status >= _SERVER_ERROR,
        request_id=g.request_id,
    )
    response.status_code = status
    response.headers.extend(problem.headers)
    return response


def _address_here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return f"{request.path}?{query}" if query else request.path

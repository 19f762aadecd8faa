"""The page that lets a program in: its code, what it asks for, and the answer."""

from collections.abc import Callable

from flask import request
from sqlalchemy import RowMapping
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import passwords
from chronos_api.device_logins import service
from chronos_api.device_logins.schemas import Approval, UserCode
from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.security.access import Scope, requires_login
from chronos_api.security.access import account as caller
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call
from chronos_api.ui.blueprint import blueprint, show
from chronos_common.errors import ChronosError


@blueprint.get("/device")
@requires_login()
def device() -> AnyResponse:
    """Show the form for a code. A link may have filled it in."""
    return _page()


@blueprint.post("/device")
@requires_login(rate=Rate.LOGIN)
def show_device_login() -> AnyResponse:
    """Show what asks to be let in."""
    return _answer(lambda _: None)


@blueprint.post("/device/approve")
@requires_login(rate=Rate.LOGIN)
def approve_device_login() -> AnyResponse:
    """Let it in."""

    def approve(asking: RowMapping) -> str:
        given = {
            "workspace_id": request.form.get("workspace_id", ""),
            "scopes": request.form.getlist("scopes"),
            "expires_at": request.form.get("expires_at", "").strip() or None,
        }
        service.approve(account_call(), asking["id"], **json_body.load(Approval, given))
        return "approved"

    return _answer(approve)


@blueprint.post("/device/refuse")
@requires_login(rate=Rate.LOGIN)
def refuse_device_login() -> AnyResponse:
    """Do not let it in."""

    def refuse(asking: RowMapping) -> str:
        service.refuse(account_call(), asking["id"])
        return "refused"

    return _answer(refuse)


def _answer(work: Callable[[RowMapping], str | None]) -> AnyResponse:
    """Find the program of the code, do the work on it, and show the page as it is then."""
    asking = None
    try:
        code = json_body.load(UserCode, {"code": request.form.get("code", "")})["code"]
        with passwords.guarding(caller().email, "device code"):
            asking = service.find(account_call(), code)
        return _page(asking=asking, decision=work(asking))
    except ChronosError as error:
        return _page(error, asking=asking)


def _page(
    error: ChronosError | None = None,
    *,
    asking: RowMapping | None = None,
    decision: str | None = None,
) -> AnyResponse:
    problem = problem_of(error) if error else None
    response = show(
        "device.html",
        problem=problem,
        asking=asking,
        code=service.shown(asking["user_code"]) if asking else "",
        decision=decision,
        scopes=list(Scope),
        given=request.values,
    )
    if problem:
        response.status_code = int(problem.kind.status)
        response.headers.extend(problem.headers)
    return response

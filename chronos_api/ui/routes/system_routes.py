"""The pages about the installation and about one's own account."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import passwords
from chronos_api.accounts.schemas import PasswordChange
from chronos_api.context import current
from chronos_api.http import json_body
from chronos_api.http.errors import problem_of
from chronos_api.operations import readiness
from chronos_api.security.access import Role, Scope, requires, requires_login
from chronos_api.security.access import account as caller
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call
from chronos_api.ui.blueprint import blueprint, show
from chronos_common import __version__, clock
from chronos_common.errors import ChronosError


@blueprint.get("/system")
@requires(Role.VIEWER, Scope.STATS_READ)
def system() -> AnyResponse:
    """Show whether this installation does its work."""
    context = current()
    state = readiness.check(
        context.engine,
        context.redis,
        alive_within=context.settings.worker_timeout,
        now=clock.now(),
    )
    return show("system.html", state=state, version=__version__)


@blueprint.get("/account")
@requires_login()
def account() -> AnyResponse:
    """Show one's own account."""
    return _account()


def _account(error: ChronosError | None = None, *, is_done: bool = False) -> AnyResponse:
    problem = problem_of(error) if error else None
    response = show("account.html", problem=problem, is_done=is_done)
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

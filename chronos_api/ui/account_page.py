"""The page of one's own account, which forms of several routes lead back to."""

from werkzeug.wrappers import Response as AnyResponse

from chronos_api.accounts import sessions
from chronos_api.accounts.preferences import Theme
from chronos_api.http.errors import problem_of
from chronos_api.security.access import account as caller
from chronos_api.transactions import account_call
from chronos_api.ui import programs
from chronos_api.ui.blueprint import show
from chronos_common.errors import ChronosError


def show_account(error: ChronosError | None = None, *, is_done: bool = False) -> AnyResponse:
    """Show one's own account, with the error that a form of it led to."""
    problem = problem_of(error) if error else None
    response = show(
        "account.html",
        problem=problem,
        is_done=is_done,
        logins=sessions.list_sessions(account_call()),
        current_login=caller().family_id,
        program=programs.program,
        themes=list(Theme),
    )
    if problem:
        response.status_code = int(problem.kind.status)
    return response

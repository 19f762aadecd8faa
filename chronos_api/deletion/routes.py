"""Deletion of the workspace of the request, of one's account, and of others by the operator."""

from uuid import UUID

from flask import Response, jsonify

from chronos_api.accounts import passwords
from chronos_api.deletion import accounts, workspaces
from chronos_api.deletion.schemas import AccountDeletion, DeletedWorkspace, WorkspaceDeletion
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import (
    Role,
    account,
    requires,
    requires_login,
    requires_operator,
)
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, call

blueprint = Blueprint(
    "deletion", __name__, url_prefix="/api/v1", description="Deletion of workspaces and accounts"
)


# POST, because a body of DELETE has no meaning to HTTP, and some proxies drop it.
@blueprint.route("/workspace/delete", "POST")
@blueprint.body(WorkspaceDeletion)
@blueprint.answers(200, DeletedWorkspace)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, None, rate=Rate.LOGIN)
def delete_workspace(body: dict[str, str]) -> Response:
    """Delete the workspace.

    Its jobs stop. Its members and API keys are refused. An owner may restore it for a week.
    Then its data is removed for good.
    """
    with passwords.guarding(account().email, "current password"):
        row = workspaces.delete(call(), account_call(), **body)
    return jsonify(DeletedWorkspace.of(row))


@blueprint.route("/workspaces/<uuid:workspace_id>/restore", "POST")
@blueprint.answers(200, DeletedWorkspace)
@blueprint.problems(problems.NOT_FOUND)
@requires_login()
def restore_workspace(workspace_id: UUID) -> Response:
    """Undo the deletion of a workspace that you own. Its jobs are paused."""
    return jsonify(DeletedWorkspace.of(workspaces.restore(account_call(), workspace_id)))


@blueprint.route("/auth/me/delete", "POST")
@blueprint.body(AccountDeletion)
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def delete_account(body: dict[str, str]) -> Response:
    """Delete your account at once.

    Workspaces without another member are deleted with it, and cannot be restored. You leave the
    others. If one of them has no other owner, the request is refused.
    """
    with passwords.guarding(account().email, "current password"):
        accounts.delete_own(account_call(), **body)
    return Response(status=204)


@blueprint.route("/admin/accounts/<uuid:user_id>", "DELETE")
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires_operator()
def delete_account_of(user_id: UUID) -> Response:
    """Delete an account at once, as its owner could."""
    accounts.delete(account_call(), user_id)
    return Response(status=204)

"""``/api/v1/workspace/export`` and ``/api/v1/auth/me/export``: all data as NDJSON, in a stream."""

from flask import Response

from chronos_api.executions.exports import ExportPermit
from chronos_api.exports import account, workspace
from chronos_api.exports.pages import Pages, lines_of
from chronos_api.http.blueprint import Blueprint
from chronos_api.http.compression import NDJSON
from chronos_api.security.access import Role, requires, requires_login
from chronos_api.transactions import Call, account_call, call

blueprint = Blueprint(
    "exports", __name__, url_prefix="/api/v1", description="All data of a workspace or an account"
)


@blueprint.route("/workspace/export", "GET")
@blueprint.answers(200)
@blueprint.also(NDJSON)
@requires(Role.OWNER, None)
def export_workspace() -> Response:
    """Export everything that the workspace has.

    Each line is a JSON object with its `kind`: workspace, member, invitation, api_key, job,
    execution or audit_entry. Secrets are left out.
    """
    return _stream(call(), workspace.pages(call()), "workspace")


@blueprint.route("/auth/me/export", "GET")
@blueprint.answers(200)
@blueprint.also(NDJSON)
@requires_login()
def export_account() -> Response:
    """Export everything about your account.

    Each line is a JSON object with its `kind`: account, membership, login, api_key or audit_entry.
    Passwords and tokens are left out.
    """
    return _stream(account_call(), account.pages(account_call()), "account")


def _stream(caller: Call, pages: Pages, name: str) -> Response:
    permit = ExportPermit(caller)
    response = Response(lines_of(pages), content_type=NDJSON)
    # Also if the client has read nothing.
    response.call_on_close(permit.release)
    response.headers["Content-Disposition"] = f"attachment; filename={name}.ndjson"
    return response

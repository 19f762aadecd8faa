"""``/api/v1/members``."""

from uuid import UUID

from flask import Response, jsonify

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.transactions import call
from chronos_api.workspaces import members
from chronos_api.workspaces.schemas import Member, MemberChange, Members

blueprint = Blueprint(
    "members", __name__, url_prefix="/api/v1/members", description="Who works in the workspace"
)


@blueprint.route("", "GET")
@blueprint.answers(200, Members)
@requires(Role.VIEWER, Scope.WORKSPACE_READ)
def list_members() -> Response:
    """List the members, in the order in which they joined."""
    rows = members.list_members(call())
    return jsonify(Members.of(rows))


# No key changes who is a member: a member may do more than its scopes.
@blueprint.route("/<uuid:user_id>", "PATCH")
@blueprint.body(MemberChange)
@blueprint.answers(200, Member)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, None)
def update_member(body: dict[str, Role], user_id: UUID) -> Response:
    """Give a member another role. There is always an owner."""
    row = members.set_role(call(), user_id, body["role"])
    return jsonify(Member.of(row))


@blueprint.route("/<uuid:user_id>", "DELETE")
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, None)
def remove_member(user_id: UUID) -> Response:
    """Remove a member. The API keys that they made here are revoked."""
    members.remove(call(), user_id)
    return Response(status=204)


@blueprint.route("/leave", "POST")
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires(Role.VIEWER, None)
def leave_workspace() -> Response:
    """Leave the workspace. Its last owner cannot."""
    members.remove(call(), principal().user_id)
    return Response(status=204)

"""``/api/v1/members``."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api import answers
from chronos_api.context import current
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.workspaces import members
from chronos_api.workspaces.schemas import Member, MemberChange, Members
from chronos_common import clock

blueprint = Blueprint(
    "members", __name__, url_prefix="/api/v1/members", description="Who works in the workspace"
)


@blueprint.route("", "GET")
@blueprint.answers(200, Members)
@requires(Role.VIEWER, Scope.WORKSPACE_READ)
def listed() -> Response:
    """List the members, in the order in which they joined."""
    rows = members.listed(current().engine, principal())
    return jsonify({"items": [_member(row) for row in rows], "total": len(rows)})


@blueprint.route("/<uuid:user_id>", "PATCH")
@blueprint.body(MemberChange)
@blueprint.answers(200, Member)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def change(body: dict[str, Role], user_id: UUID) -> Response:
    """Give a member another role. There is always an owner."""
    row = members.set_role(current().engine, principal(), user_id, body["role"], now=clock.now())
    return jsonify(_member(row))


@blueprint.route("/<uuid:user_id>", "DELETE")
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def remove(user_id: UUID) -> Response:
    """Remove a member. The API keys that they made here are revoked."""
    members.remove(current().engine, principal(), user_id, now=clock.now())
    return Response(status=204)


@blueprint.route("/leave", "POST")
@blueprint.answers(204)
@blueprint.problems(problems.CONFLICT)
@requires(Role.VIEWER, None)
def leave() -> Response:
    """Leave the workspace. Its last owner cannot."""
    members.remove(current().engine, principal(), principal().user_id, now=clock.now())
    return Response(status=204)


def _member(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "user_id": str(row["user_id"]),
        "email": row["email"],
        "role": row["role"],
        "joined_at": answers.time(row["joined_at"]),
    }

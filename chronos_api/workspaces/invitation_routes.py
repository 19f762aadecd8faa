"""``/api/v1/invitations``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.fields.pagination import PageQuery, paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, requires, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, call
from chronos_api.workspaces import invitations, service
from chronos_api.workspaces.schemas import (
    InvitationAnswer,
    InvitationFields,
    InvitationPage,
    InvitationToken,
    Membership,
)

blueprint = Blueprint(
    "invitations",
    __name__,
    url_prefix="/api/v1/invitations",
    description="Who was asked into the workspace, and has not answered yet",
)


# No key invites: a member may do more than its scopes.
@blueprint.route("", "POST")
@blueprint.body(InvitationFields)
@blueprint.answers(201, InvitationAnswer)
@blueprint.problems(problems.CONFLICT)
@requires(Role.OWNER, None)
def create_invitation(body: dict[str, Any]) -> Response:
    """Invite a person by e-mail.

    The e-mail holds a token that serves for a week. Inviting an address again replaces the
    invitation before.
    """
    row = invitations.invite(call(), **body)
    return jsonify(InvitationAnswer.of(row))


@blueprint.route("", "GET")
@blueprint.query(PageQuery)
@blueprint.answers(200, InvitationPage)
@requires(Role.OWNER, Scope.WORKSPACE_READ)
def list_invitations(query: dict[str, Any]) -> Response:
    """List the open invitations, the latest first."""
    found = invitations.list_open(call(), **paging_of(query))
    return jsonify(InvitationPage.of(found.source(query)))


@blueprint.route("/<uuid:invitation_id>", "DELETE")
@blueprint.answers(204)
@requires(Role.OWNER, None)
def revoke_invitation(invitation_id: UUID) -> Response:
    """Revoke an invitation. Its token is refused from now on."""
    invitations.revoke(call(), invitation_id)
    return Response(status=204)


@blueprint.route("/accept", "POST")
@blueprint.body(InvitationToken)
@blueprint.answers(200, Membership)
@blueprint.problems(problems.CONFLICT)
@requires_login(rate=Rate.LOGIN)
def accept_invitation(body: dict[str, str]) -> Response:
    """Accept an invitation to your e-mail address."""
    workspace_id = invitations.accept(account_call(), body["token"])
    rows = service.list_memberships(account_call())
    return jsonify(Membership.of(next(row for row in rows if row["id"] == workspace_id)))

"""``/api/v1/audit``: the changes in a workspace, and their authors."""

from typing import Any

from flask import Response, jsonify

from chronos_api.audit import service
from chronos_api.audit.schemas import AuditPage, AuditQuery, audit_filter
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_api.transactions import call

blueprint = Blueprint(
    "audit", __name__, url_prefix="/api/v1/audit", description="Who changed what"
)


@blueprint.route("", "GET")
@blueprint.query(AuditQuery)
@blueprint.answers(200, AuditPage)
@requires(Role.OWNER, Scope.AUDIT_READ)
def list_audit_entries(query: dict[str, Any]) -> Response:
    """List the changes in the workspace, the latest first.

    The total is counted up to 10,000.
    """
    found = service.list_entries(
        call(),
        principal().workspace_id,
        audit_filter(query),
        page=query["page"],
        limit=query["limit"],
    )
    return jsonify(AuditPage.of(found.source(query)))

"""``/api/v1/audit``: who changed what."""

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from chronos_api import answers
from chronos_api.audit import service
from chronos_api.audit.schemas import AuditPage, AuditQuery
from chronos_api.context import current
from chronos_api.fields import cursors
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_common.storage.audit import AuditFilter

blueprint = Blueprint(
    "audit", __name__, url_prefix="/api/v1/audit", description="Who changed what"
)


@blueprint.route("", "GET")
@blueprint.query(AuditQuery)
@blueprint.answers(200, AuditPage)
@requires(Role.OWNER, Scope.AUDIT_READ)
def listed(query: dict[str, Any]) -> Response:
    """List the changes in the workspace, the latest first.

    The total is counted up to 10,000.
    """
    found = service.listed(
        current().engine,
        principal().workspace_id,
        chosen(query),
        page=query["page"],
        limit=query["limit"],
    )
    return jsonify(answers.page_of(found, query, entry))


def chosen(query: Mapping[str, Any]) -> AuditFilter:
    """Return the entries that a query asks for."""
    names = ("action", "subject_type", "subject_id", "user_id", "key_id", "since", "until")
    return AuditFilter(
        **{name: query.get(name) for name in names}, before=cursors.read(query.get("cursor"))
    )


def entry(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an entry of the log."""
    return {
        "id": str(row["id"]),
        "at": answers.time(row["at"]),
        "action": row["action"],
        "user_id": str(row["user_id"]) if row["user_id"] else None,
        "user_email": row["user_email"],
        "key_id": str(row["key_id"]) if row["key_id"] else None,
        "subject_type": row["subject_type"],
        "subject_id": str(row["subject_id"]),
        "details": row["details"],
    }

"""``/api/v1/workspaces``, one's own, and ``/api/v1/workspace``, that of the request."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, jsonify

from chronos_api import answers
from chronos_api.accounts.auth_routes import belonging
from chronos_api.accounts.schemas import Membership
from chronos_api.context import current
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, account, principal, requires, requires_login
from chronos_api.workspaces import service
from chronos_api.workspaces.schemas import (
    Memberships,
    Rotation,
    SigningSecret,
    WorkspaceAnswer,
    WorkspaceChange,
    WorkspaceFields,
)
from chronos_common import clock
from chronos_common.domain import redaction

blueprint = Blueprint(
    "workspaces", __name__, url_prefix="/api/v1", description="Workspaces and their settings"
)


@blueprint.route("/workspaces", "GET")
@blueprint.answers(200, Memberships)
@requires_login()
def listed() -> Response:
    """List your workspaces, the default one first."""
    rows = service.mine(current().engine, account())
    return jsonify({"items": [belonging(row) for row in rows], "total": len(rows)})


@blueprint.route("/workspaces", "POST")
@blueprint.body(WorkspaceFields)
@blueprint.answers(201, Membership)
@blueprint.problems(problems.CONFLICT)
@requires_login()
def create(body: dict[str, str]) -> Response:
    """Create another workspace; you are its owner."""
    row = service.add(current().engine, account(), name=body["name"], now=clock.now())
    response = jsonify(belonging(row))
    response.status_code = 201
    return response


@blueprint.route("/workspace", "GET")
@blueprint.answers(200, WorkspaceAnswer)
@requires(Role.VIEWER, Scope.WORKSPACE_READ)
def read() -> Response:
    """Read the workspace's settings."""
    return _workspace(service.read(current().engine, principal()))


@blueprint.route("/workspace", "PATCH")
@blueprint.body(WorkspaceChange)
@blueprint.answers(200, WorkspaceAnswer)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def change(body: dict[str, Any]) -> Response:
    """Rename the workspace, or set its default webhook."""
    row = service.change(current().engine, principal(), body, now=clock.now())
    return _workspace(row)


@blueprint.route("/workspace/signing-secret", "GET")
@blueprint.answers(200, SigningSecret)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def signing_secret() -> Response:
    """Show what receivers verify webhooks with."""
    return _secret(service.read(current().engine, principal()))


@blueprint.route("/workspace/signing-secret/rotate", "POST")
@blueprint.body(Rotation)
@blueprint.answers(200, SigningSecret)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def rotate_secret(body: dict[str, int]) -> Response:
    """Sign webhooks with a new secret.

    Until the grace is over they are signed with the previous one too, so that receivers can
    change over in between.
    """
    grace = timedelta(hours=body["grace_hours"])
    row = service.rotate_secret(current().engine, principal(), grace=grace, now=clock.now())
    return _secret(row)


def _workspace(row: Mapping[Any, Any]) -> Response:
    url = row["default_webhook_url"]
    return jsonify(
        {
            "id": str(row["id"]),
            "name": row["name"],
            "role": principal().role,
            "default_webhook_url": None if url is None else redaction.url(url),
            "created_at": answers.time(row["created_at"]),
        }
    )


def _secret(row: Mapping[Any, Any]) -> Response:
    until = row["previous_secret_until"]
    is_used = until is not None and until > clock.now()
    return jsonify(
        {
            "signing_secret": row["signing_secret"],
            "previous_signing_secret": row["previous_signing_secret"] if is_used else None,
            "previous_secret_until": answers.time(until) if is_used else None,
        }
    )

"""``/api/v1/workspaces``, one's own, and ``/api/v1/workspace``, that of the request."""

from datetime import timedelta
from typing import Any

from flask import Response, jsonify
from sqlalchemy import RowMapping

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.quotas import service as quotas
from chronos_api.security import access
from chronos_api.security.access import Role, Scope, principal, requires, requires_login
from chronos_api.security.rate_limits import Rate
from chronos_api.transactions import account_call, call
from chronos_api.workspaces import service
from chronos_api.workspaces.schemas import (
    Membership,
    Memberships,
    Rotation,
    SigningSecret,
    WorkspaceChange,
    WorkspaceDetail,
    WorkspaceFields,
)
from chronos_common import clock

blueprint = Blueprint(
    "workspaces", __name__, url_prefix="/api/v1", description="Workspaces and their settings"
)


@blueprint.route("/workspaces", "GET")
@blueprint.answers(200, Memberships)
@requires_login()
def list_workspaces() -> Response:
    """List your workspaces, the default one first."""
    rows = service.list_memberships(account_call())
    return jsonify(Memberships.of(rows))


@blueprint.route("/workspaces", "POST")
@blueprint.body(WorkspaceFields)
@blueprint.answers(201, Membership)
@blueprint.problems(problems.CONFLICT)
@requires_login()
def create_workspace(body: dict[str, str]) -> Response:
    """Create another workspace, whose owner you are."""
    row = service.add(account_call(), name=body["name"])
    return jsonify(Membership.of(row))


@blueprint.route("/workspace", "GET")
@blueprint.answers(200, WorkspaceDetail)
@requires(Role.VIEWER, Scope.WORKSPACE_READ)
def get_workspace() -> Response:
    """Read the workspace's settings, and how much it uses of its quotas."""
    return _workspace(service.read(call()))


@blueprint.route("/workspace", "PATCH")
@blueprint.body(WorkspaceChange)
@blueprint.answers(200, WorkspaceDetail)
@requires(Role.OWNER, Scope.WORKSPACE_WRITE)
def update_workspace(body: dict[str, Any]) -> Response:
    """Rename the workspace, or set its default webhook.

    The default webhook gets payloads of jobs, so that an API key needs jobs:write as well for it.
    """
    if "default_webhook_url" in body:
        access.check_scope(Scope.JOBS_WRITE)
    row = service.change(call(), body)
    return _workspace(row)


# The secret forges webhooks, so that no key reads or replaces it.
@blueprint.route("/workspace/signing-secret", "GET")
@blueprint.answers(200, SigningSecret)
@requires(Role.OWNER, None)
def get_signing_secret() -> Response:
    """Read the secret with which receivers verify webhooks."""
    return _secret(service.read(call()))


@blueprint.route("/workspace/signing-secret/rotate", "POST")
@blueprint.body(Rotation)
@blueprint.answers(200, SigningSecret)
@requires(Role.OWNER, None, rate=Rate.LOGIN)
def rotate_signing_secret(body: dict[str, int]) -> Response:
    """Sign webhooks with a new secret.

    Until the grace is over they are signed with the previous one too, so that receivers can
    change over in between.
    """
    grace = timedelta(hours=body["grace_hours"])
    row = service.rotate_secret(call(), grace=grace)
    return _secret(row)


def _workspace(row: RowMapping) -> Response:
    uses = quotas.own(call())
    return jsonify(WorkspaceDetail.of({**row, "role": principal().role, "quotas": uses}))


def _secret(row: RowMapping) -> Response:
    secret, until = dict(row), row["previous_secret_until"]
    if until is None or until <= clock.now():
        secret |= {"previous_signing_secret": None, "previous_secret_until": None}
    return jsonify(SigningSecret.of(secret))

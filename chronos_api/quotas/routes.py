"""``/api/v1/admin/workspaces/{workspace_id}/quotas``, for the operator."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response, jsonify

from chronos_api.http.blueprint import Blueprint
from chronos_api.quotas import service
from chronos_api.quotas.schemas import QuotaBounds, WorkspaceQuotas
from chronos_api.security.access import requires_operator
from chronos_api.transactions import account_call
from chronos_common.quotas import Use

blueprint = Blueprint(
    "quotas",
    __name__,
    url_prefix="/api/v1/admin/workspaces/<uuid:workspace_id>/quotas",
    description="Bounds of one workspace, for the operator",
)


@blueprint.route("", "GET")
@blueprint.answers(200, WorkspaceQuotas)
@requires_operator()
def get_workspace_quotas(workspace_id: UUID) -> Response:
    """Read the quotas of a workspace, and how much of each it uses."""
    return _answer(service.read(account_call(), workspace_id))


@blueprint.route("", "PUT")
@blueprint.body(QuotaBounds)
@blueprint.answers(200, WorkspaceQuotas)
@requires_operator()
def set_workspace_quotas(body: dict[str, int | None], workspace_id: UUID) -> Response:
    """Give a workspace bounds of its own.

    null stands for the bound that the settings give to every workspace. Quotas that are left out
    stay. A bound below the use removes nothing, but refuses more.
    """
    return _answer(service.set_bounds(account_call(), workspace_id, body))


def _answer(uses: Sequence[Use]) -> Response:
    return jsonify(WorkspaceQuotas.of(uses))

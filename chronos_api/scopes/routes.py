"""``/api/v1/apply``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.scopes import service
from chronos_api.scopes.schemas import PlanAnswer, RawScopeFile, ScopeFile, wanted_of
from chronos_api.scopes.service import Application
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

blueprint = Blueprint("apply", __name__, url_prefix="/api/v1/apply", description="Jobs as code")

_EXAMPLE = {
    "scope": "shop-backend",
    "jobs": [
        {
            "key": "orders",
            "name": "Export the orders",
            "schedule_type": "cron",
            "cron_expression": "0 2 * * *",
            "timezone": "Europe/Berlin",
            "payload": {"url": "https://shop.example.com/export"},
        }
    ],
    "dry_run": True,
}


@blueprint.route("", "POST")
@blueprint.body_as(ScopeFile, RawScopeFile, example=_EXAMPLE)
@blueprint.answers(200, PlanAnswer)
@blueprint.problems(problems.VERSION_CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def apply_jobs(body: dict[str, Any]) -> Response:
    """Make the jobs of a scope as a file has them, all of them or none.

    Each job is compared with the live one and with the one applied last. A live job without a
    scope that has the name of a new one is adopted. A paused job stays paused unless the file
    gives its status. Secrets that read [redacted] stay as they are.
    """
    application = Application(
        scope=body["scope"],
        wanted=wanted_of(body["jobs"]),
        prune=body["prune"],
        prune_max=body.get("prune_max"),
        on_drift=body["on_drift"],
        from_scope=body.get("from_scope"),
        plan=body.get("plan"),
    )
    act = service.dry_run if body["dry_run"] else service.apply
    return jsonify(PlanAnswer.of(act(call(), application)))

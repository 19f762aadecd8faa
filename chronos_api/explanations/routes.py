"""``/api/v1/jobs/{id}/why`` and ``/api/v1/jobs/{id}/occurrences``."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.context import current
from chronos_api.explanations import service, spans
from chronos_api.explanations.schemas import Instants, InstantsQuery, Why, WhyQuery
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common.clock import to_milliseconds

blueprint = Blueprint(
    "why", __name__, url_prefix="/api/v1/jobs", description="Why an instant ran or did not"
)


@blueprint.route("/<uuid:job_id>/why", "GET")
@blueprint.query(WhyQuery)
@blueprint.answers(200, Why)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def explain_instant(query: dict[str, Any], job_id: UUID) -> Response:
    """Explain why the job did or did not run at an instant.

    The answer follows from the execution's record, the schedule and the audit log. It names the
    nearest instants of the schedule.
    """
    settings, at = current().settings, to_milliseconds(query["at"])
    found = service.explain(
        call(),
        job_id,
        at=at,
        retention=timedelta(days=settings.retention_days),
        alive_within=timedelta(seconds=settings.worker_timeout_seconds),
    )
    return jsonify(Why.of(found))


@blueprint.route("/<uuid:job_id>/occurrences", "GET")
@blueprint.query(InstantsQuery)
@blueprint.answers(200, Instants)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def list_occurrences(query: dict[str, Any], job_id: UUID) -> Response:
    """List the instants of a job in a span: how each ended, or whether it is to come.

    Instants that have passed follow from the records, and from the schedule as it is now.
    """
    since, until = to_milliseconds(query["since"]), to_milliseconds(query["until"])
    return jsonify(Instants.of(spans.instants(call(), job_id, since=since, until=until)))

"""``/api/v1/jobs/{id}/why``."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api import answers
from chronos_api.context import current
from chronos_api.explanations import service
from chronos_api.explanations.outcome_texts import Fate
from chronos_api.explanations.schemas import Why, WhyQuery
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, principal, requires
from chronos_common import clock
from chronos_common.clock import to_milliseconds

blueprint = Blueprint(
    "why", __name__, url_prefix="/api/v1/jobs", description="Why an instant ran or did not"
)


@blueprint.route("/<uuid:job_id>/why", "GET")
@blueprint.query(WhyQuery)
@blueprint.answers(200, Why)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def explain(query: dict[str, Any], job_id: UUID) -> Response:
    """Say why the job did or did not run at an instant.

    The answer follows from the execution's record, the schedule and the audit log; the nearest
    instants of the schedule are named.
    """
    context, at = current(), to_milliseconds(query["at"])
    found = service.why(
        context.engine,
        principal(),
        job_id,
        at=at,
        retention=timedelta(days=context.settings.retention_days),
        alive_within=timedelta(seconds=context.settings.worker_timeout_seconds),
        now=clock.now(),
    )
    return jsonify(
        {
            "job_id": str(job_id),
            "at": answers.time(at),
            "verdict": found.verdict,
            "explanation": found.explanation,
            "execution": _record(found.fate) if found.fate else None,
            "previous": answers.time(found.previous),
            "following": answers.time(found.following),
        }
    )


def _record(fate: Fate) -> dict[str, Any]:
    return {
        "id": str(fate.id),
        "trigger": fate.trigger,
        "status": fate.status,
        "reason": fate.reason,
        "scheduled_for": answers.time(fate.scheduled_for),
        "started_at": answers.time(fate.started_at),
        "finished_at": answers.time(fate.finished_at),
        "attempt": fate.attempt,
        "http_status": fate.http_status,
        "error": fate.error,
        "missed_count": fate.missed_count,
        "missed_until": answers.time(fate.missed_until),
    }

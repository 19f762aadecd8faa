"""``/api/v1/jobs/{id}/statistics``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import Role, Scope, requires
from chronos_api.statistics import job_statistics
from chronos_api.statistics.job_schemas import JobStatistics, StatisticsQuery
from chronos_api.transactions import call

blueprint = Blueprint(
    "job_statistics", __name__, url_prefix="/api/v1/jobs", description="The figures of one job"
)


@blueprint.route("/<uuid:job_id>/statistics", "GET")
@blueprint.query(StatisticsQuery)
@blueprint.answers(200, JobStatistics)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.STATS_READ)
def get_job_statistics(query: dict[str, Any], job_id: UUID) -> Response:
    """Read outcomes and durations of a job's latest executions, and its next runs."""
    figures = job_statistics.statistics(call(), job_id, limit=query["limit"])
    return jsonify(JobStatistics.of(figures))

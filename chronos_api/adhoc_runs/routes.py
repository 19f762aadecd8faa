"""``/api/v1/jobs/test``."""

from typing import Any

from flask import Response, jsonify

from chronos_api.adhoc_runs import service
from chronos_api.adhoc_runs.schemas import TestRunRequest, TestRunResult
from chronos_api.context import current
from chronos_api.executions import attempts
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.jobs.schemas import PAYLOAD_EXAMPLE
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

blueprint = Blueprint(
    "test_runs", __name__, url_prefix="/api/v1/jobs/test", description="Payloads without a job"
)


@blueprint.route("", "POST")
@blueprint.body(TestRunRequest, example={"payload": PAYLOAD_EXAMPLE})
@blueprint.answers(200, TestRunResult)
@blueprint.problems(problems.NO_ANSWER, problems.NOT_FOUND)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def run_test(body: dict[str, Any]) -> Response:
    """Perform a payload once, now, without saving a job.

    A worker does the same as for an execution. The header X-Chronos-Test lets the target
    recognise it. The answer comes after the target's, with the redactions of the history. With
    job_id, places of the payload that are [redacted] have the secrets of that job.
    """
    identifier, result = service.run(call(), current().broker, body)
    whole = attempts.within(result, attempts.MAX_WHOLE_BYTES)
    return jsonify(TestRunResult.of({"id": str(identifier), **whole}))

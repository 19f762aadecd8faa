"""``/api/v1/jobs/by-name``."""

from typing import Any

from flask import Response, jsonify, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from chronos_api.http import etags, problems
from chronos_api.http.blueprint import LOCATION, Blueprint
from chronos_api.jobs import by_name, snapshots
from chronos_api.jobs.schemas import JobByName, JobDetail
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call

blueprint = Blueprint(
    "named_jobs",
    __name__,
    url_prefix="/api/v1/jobs/by-name",
    description="Jobs by their name, for scripts",
)


class _NameConverter(BaseConverter):
    """The rest of the path: a name may begin with a slash, and hold several."""

    part_isolating = False
    regex = "(?s:.+)"


def _register_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["name"] = _NameConverter


blueprint.record_once(_register_converter)

_ETAG = {"ETag": {"description": "The job's version", "schema": {"type": "string"}}}
_CONDITIONS = (
    {
        "in": "header",
        "name": "If-Match",
        "description": "The ETag that was read. Refuses the change if the job has changed since",
        "schema": {"type": "string"},
    },
    {
        "in": "header",
        "name": "If-None-Match",
        "description": "* refuses to change a job that there is already",
        "schema": {"type": "string", "examples": ["*"]},
    },
)
_EXAMPLE = {
    "schedule_type": "cron",
    "cron_expression": "0 9 * * 1",
    "payload": {"url": "https://example.com/hook"},
}


@blueprint.route("/<name:name>", "PUT")
@blueprint.parameters(*_CONDITIONS)
@blueprint.raw_body(JobByName, example=_EXAMPLE)
@blueprint.answers(200, JobDetail, headers=_ETAG)
@blueprint.or_answers(201, JobDetail, headers=_ETAG | LOCATION)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT, problems.VERSION_CONFLICT)
@requires(Role.EDITOR, Scope.JOBS_WRITE)
def put_job_by_name(body: dict[str, Any], name: str) -> Response:
    """Create the job of this name, or replace its definition.

    Sent again it changes nothing, and the version stays. Names are not unique: if several jobs
    have this one, it is a 409.
    """
    put = call()
    row, is_new = by_name.put(
        put,
        name,
        body,
        expected=etags.expected_versions(),
        must_be_new=request.if_none_match.star_tag,
        must_exist="If-Match" in request.headers,
    )
    job = snapshots.detailed(row, now=put.now)
    response = jsonify(JobDetail.of(job))
    response.set_etag(etags.of_version(job["version"], job["next_run_at"]))
    if is_new:
        response.status_code = 201
        response.headers["Location"] = url_for("jobs.get_job", job_id=row["id"])
    return response

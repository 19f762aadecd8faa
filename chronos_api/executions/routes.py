"""``/api/v1/executions``."""

from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.executions import attempts, exports, service
from chronos_api.executions.logs import lines_of
from chronos_api.executions.schemas import (
    ExecutionAnswer,
    ExecutionDetail,
    ExecutionPage,
    ExecutionQuery,
    ExecutionsQuery,
    Logs,
    history_filter,
)
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.http.compression import CSV, NDJSON
from chronos_api.http.etags import IF_NONE_MATCH, WEAK_ETAG, of_list
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call
from chronos_common import clock

blueprint = Blueprint(
    "executions",
    __name__,
    url_prefix="/api/v1/executions",
    description="The history: every due occurrence of a job, and how it ended",
)


@blueprint.route("", "GET")
@blueprint.query(ExecutionsQuery)
@blueprint.parameters(IF_NONE_MATCH)
@blueprint.answers(200, ExecutionPage, headers=WEAK_ETAG)
@blueprint.unchanged(WEAK_ETAG)
@blueprint.also(CSV, NDJSON)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def list_executions(query: dict[str, Any]) -> Response:
    """List the executions of the workspace, the latest first.

    The total is counted up to 10,000. As text/csv or application/x-ndjson, all of them that the
    filters let through.
    """
    now = clock.now()
    filters = history_filter(query)
    media_type = exports.wanted()
    if media_type:
        return exports.stream(call(), filters, media_type)
    page = service.list_executions(call(), filters, page=query["page"], limit=query["limit"])
    return of_list(ExecutionPage.of(page.source(query, now=now)))


@blueprint.route("/<uuid:execution_id>", "GET")
@blueprint.query(ExecutionQuery)
@blueprint.answers(200, ExecutionDetail)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def get_execution(query: dict[str, int], execution_id: UUID) -> Response:
    """Read an execution with its attempts.

    The last attempt is whole. An earlier one that takes more than 8 KiB is marked as shortened.
    Its texts, the response's body among them, end after 1,000 characters, and it lacks long
    headers. `?attempt=2` answers that attempt alone, and whole.
    """
    row = service.read(call(), execution_id)
    shown = attempts.shown(row["attempts"], query.get("attempt"))
    return jsonify(ExecutionDetail.of({**row, "attempts": shown}))


@blueprint.route("/<uuid:execution_id>/logs", "GET")
@blueprint.answers(200, Logs)
@blueprint.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def get_execution_logs(execution_id: UUID) -> Response:
    """Read the log of an execution."""
    row = service.read(call(), execution_id)
    return jsonify(Logs.of({"execution_id": execution_id, "items": lines_of(row)}))


@blueprint.route("/<uuid:execution_id>/cancel", "POST")
@blueprint.answers(200, ExecutionAnswer)
@blueprint.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def cancel_execution(execution_id: UUID) -> Response:
    """Cancel an execution that has not finished."""
    row = service.cancel(call(), execution_id)
    return jsonify(ExecutionAnswer.of(row))

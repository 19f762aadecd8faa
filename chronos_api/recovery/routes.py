"""``/api/v1/executions/failures``, ``/executions/bulk`` and ``/replays``."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for

from chronos_api.executions import service as executions
from chronos_api.executions import waiting
from chronos_api.executions.schemas import ExecutionAnswer
from chronos_api.fields.pagination import filter_of, paging_of
from chronos_api.http import problems
from chronos_api.http.blueprint import LOCATION, Blueprint
from chronos_api.jobs.definition import runs
from chronos_api.jobs.definition.runs import RunFields
from chronos_api.recovery import replays, selections, service
from chronos_api.recovery.replays import Options
from chronos_api.recovery.schemas import (
    BulkExecutions,
    BulkRetry,
    BulkSelection,
    FailureGroups,
    GroupsQuery,
    ReplayAnswer,
    ReplayDetail,
    ReplayPage,
    ReplaysQuery,
)
from chronos_api.recovery.selections import BulkAction
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call, reading
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.replays import ReplayState

recovery = Blueprint(
    "recovery",
    __name__,
    url_prefix="/api/v1/executions",
    description="Failures in groups, and actions on many executions",
)
replayed = Blueprint(
    "replays", __name__, url_prefix="/api/v1/replays", description="Bulk retries at a rate"
)

_OPEN = {"filter": {"open_failures": True, "http_status": "503"}, "dry_run": True}


@recovery.route("/failures/groups", "GET")
@recovery.query(GroupsQuery)
@recovery.answers(200, FailureGroups)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def list_failure_groups(query: dict[str, Any]) -> Response:
    """Group failures by their error, job, host or HTTP status, the largest group first.

    At most 10,000 executions are looked at, the latest ones, and 100 groups answered.
    """
    by = query["by"]
    found, names = service.groups(call(), filter_of(HistoryFilter, query), by)
    items = [{**row, "name": names.get(row["key"])} for row in found.rows]
    answer = {
        "by": by,
        "items": items,
        "looked_at": found.looked_at,
        "is_exact": found.is_exact,
    }
    return jsonify(FailureGroups.of(answer))


@recovery.route("/<uuid:execution_id>/retry", "POST")
@recovery.optional_body(RunFields, example={"note": "After the fix"})
@recovery.answers(200, ExecutionAnswer, description="It has ended within wait_seconds")
@recovery.or_answers(202, ExecutionAnswer, headers=LOCATION)
@recovery.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def retry_execution(body: dict[str, Any], execution_id: UUID) -> Response:
    """Run a finished execution's job again, as it is defined now, or with a changed payload.

    This makes another execution, whose retry_of names this one. It starts beside others under
    every overlap policy. While a retry of this execution has not ended, another one is a 409
    that names it. Once it has ended, however it did, this one can be run again. With wait_seconds
    the answer comes when it has ended, with 200, or else after that time, with 202.
    """
    making = call()
    row = executions.retry(making, execution_id, runs.options_of(body, now=making.now))
    return waiting.answer(making, row, seconds=body["wait_seconds"])


@recovery.route("/bulk/retry", "POST")
@recovery.body(BulkRetry, example=_OPEN)
@recovery.answers(200, BulkExecutions, description="The dry run")
@recovery.or_answers(202, ReplayAnswer, headers=LOCATION)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def retry_executions(body: dict[str, Any]) -> Response:
    """Run executions again, at a rate, as their jobs are defined now.

    This starts a replay, which a scheduler carries out.
    """
    making = call()
    selection = selections.selection_of(BulkAction.RETRY, body, now=making.now)
    if body["dry_run"]:
        with reading(making) as session:
            found = selections.dry_run(session, BulkAction.RETRY, selection)
        return jsonify(BulkExecutions.of(found))
    options = Options(
        rate_per_second=body["rate_per_second"],
        oldest_first=body["oldest_first"],
        note=body.get("note") or None,
    )
    row = replays.start(making, selection, options)
    response = jsonify(ReplayAnswer.of(row))
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = url_for("replays.get_replay", replay_id=row["id"])
    return response


@recovery.route("/bulk/discard", "POST")
@recovery.body(BulkSelection, example=_OPEN)
@recovery.answers(200, BulkExecutions)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def discard_executions(body: dict[str, Any]) -> Response:
    """Resolve failures without running them again, up to 10,000 at once."""
    return _change(BulkAction.DISCARD, body)


@recovery.route("/bulk/cancel", "POST")
@recovery.body(BulkSelection, example={"filter": {"tag": "mail"}, "dry_run": True})
@recovery.answers(200, BulkExecutions)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def cancel_executions(body: dict[str, Any]) -> Response:
    """Cancel executions that have not finished, up to 1,000 at once."""
    return _change(BulkAction.CANCEL, body)


def _change(action: BulkAction, body: dict[str, Any]) -> Response:
    changing = call()
    selection = selections.selection_of(action, body, now=changing.now)
    if body["dry_run"]:
        with reading(changing) as session:
            found = selections.dry_run(session, action, selection)
        return jsonify(BulkExecutions.of(found))
    change = service.discard if action is BulkAction.DISCARD else service.cancel
    return jsonify(BulkExecutions.of(change(changing, selection)))


@replayed.route("", "GET")
@replayed.query(ReplaysQuery)
@replayed.answers(200, ReplayPage)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def list_replays(query: dict[str, Any]) -> Response:
    """List the replays of the workspace, the latest first."""
    found = replays.list_replays(call(), **paging_of(query))
    return jsonify(ReplayPage.of(found.source(query)))


@replayed.route("/<uuid:replay_id>", "GET")
@replayed.answers(200, ReplayDetail)
@replayed.problems(problems.NOT_FOUND)
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def get_replay(replay_id: UUID) -> Response:
    """Read a replay, and how its executions have ended so far."""
    return jsonify(ReplayDetail.of(replays.read(call(), replay_id)))


@replayed.route("/<uuid:replay_id>/pause", "POST")
@replayed.answers(200, ReplayAnswer)
@replayed.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def pause_replay(replay_id: UUID) -> Response:
    """Let a replay make no more executions until it is resumed."""
    return jsonify(ReplayAnswer.of(replays.move(call(), replay_id, ReplayState.PAUSED)))


@replayed.route("/<uuid:replay_id>/resume", "POST")
@replayed.answers(200, ReplayAnswer)
@replayed.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def resume_replay(replay_id: UUID) -> Response:
    """Let a paused replay go on."""
    return jsonify(ReplayAnswer.of(replays.move(call(), replay_id, ReplayState.RUNNING)))


@replayed.route("/<uuid:replay_id>/cancel", "POST")
@replayed.answers(200, ReplayAnswer)
@replayed.problems(problems.NOT_FOUND, problems.CONFLICT)
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def cancel_replay(replay_id: UUID) -> Response:
    """End a replay. Executions that it has made go on."""
    return jsonify(ReplayAnswer.of(replays.move(call(), replay_id, ReplayState.CANCELLED)))


BLUEPRINTS = (recovery, replayed)

"""The recovery desk: open failures in groups, run again at a rate, or discarded."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.fields.pagination import filter_of
from chronos_api.http import json_body
from chronos_api.recovery import replays, selections, service
from chronos_api.recovery.replays import Options
from chronos_api.recovery.schemas import DEFAULT_RATE, BulkRetry, GroupsQuery
from chronos_api.recovery.selections import BulkAction
from chronos_api.security.access import Role, Scope, requires
from chronos_api.transactions import call, reading
from chronos_api.ui.blueprint import blueprint, show, to
from chronos_api.ui.lists import query_of
from chronos_common import clock
from chronos_common.errors import Invalid
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.recovery import GroupKey
from chronos_common.storage.replays import OPEN, ReplayState

#: The condition that selects a group, by how it was grouped.
_CONDITIONS: Final[Mapping[GroupKey, str]] = {
    GroupKey.ERROR: "cause",
    GroupKey.JOB: "job_id",
    GroupKey.HOST: "host",
    GroupKey.HTTP_STATUS: "http_status",
}
_ACTIONS: Final = frozenset({BulkAction.RETRY, BulkAction.DISCARD})
_MOVES: Final[Mapping[str, ReplayState]] = {
    "pause": ReplayState.PAUSED,
    "resume": ReplayState.RUNNING,
    "cancel": ReplayState.CANCELLED,
}


@blueprint.get("/failures")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def failures() -> AnyResponse:
    """Show the open failures in groups, and the replays under way."""
    query = query_of(GroupsQuery, is_paged=False)
    by = query.loaded["by"]
    filters = filter_of(HistoryFilter, {"open_failures": True} | query.loaded)
    groups, names = service.groups(call(), filters, by)
    under_way = replays.list_replays(call(), after=None, page=1, limit=20).rows
    return show(
        "failures.html",
        by=by,
        keys=list(GroupKey),
        condition=_CONDITIONS[by],
        groups=groups,
        names=names,
        total=sum(row["executions"] for row in groups.rows),
        replays=[row for row in under_way if row["state"] in OPEN],
        query=query,
    )


@blueprint.post("/failures/ask")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def ask_recovery() -> AnyResponse:
    """Count the failures of a group, and ask for a confirmation."""
    action, body = _action(), _body(request.form)
    making = call()
    selection = selections.selection_of(action, body, now=making.now)
    with reading(making) as session:
        found = selections.dry_run(session, action, selection)
    return show(
        "recovery.html",
        action=action,
        found=found,
        as_of=clock.rfc3339(found.as_of),
        given={name: request.form.get(name, "") for name in ("by", "key")},
        rate=DEFAULT_RATE,
    )


@blueprint.post("/failures/apply")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def recover() -> AnyResponse:
    """Run the failures that were counted again, or discard them."""
    action, making = _action(), call()
    body = _body(request.form, as_of=request.form.get("as_of", ""))
    selection = selections.selection_of(action, body, now=making.now)
    if action is BulkAction.DISCARD:
        service.discard(making, selection)
        return to("failures")
    options = Options(
        rate_per_second=body["rate_per_second"],
        oldest_first=body["oldest_first"],
        note=body.get("note") or None,
    )
    return to("replay", replay_id=replays.start(making, selection, options)["id"])


@blueprint.get("/failures/replays/<uuid:replay_id>")
@requires(Role.VIEWER, Scope.EXECUTIONS_READ)
def replay(replay_id: UUID) -> AnyResponse:
    """Show how far a replay is, and how its executions ended."""
    row = replays.read(call(), replay_id)
    return show("replay.html", row=row, is_open=row["state"] in OPEN)


@blueprint.post("/failures/replays/<uuid:replay_id>/move")
@requires(Role.EDITOR, Scope.EXECUTIONS_WRITE)
def move_replay(replay_id: UUID) -> AnyResponse:
    """Pause, resume or end a replay."""
    state = _MOVES.get(request.form.get("move", ""))
    if state is None:
        raise Invalid({"move": [f"Must be one of {', '.join(_MOVES)}."]})
    replays.move(call(), replay_id, state)
    return to("replay", replay_id=replay_id)


def _action() -> BulkAction:
    action = request.form.get("action", "")
    if action not in _ACTIONS:
        raise Invalid({"action": [f"Must be one of {', '.join(sorted(_ACTIONS))}."]})
    return BulkAction(action)


def _body(form: Mapping[str, str], *, as_of: str | None = None) -> dict[str, Any]:
    """Return the request of the API about a group of open failures, or about all of them."""
    chosen: dict[str, Any] = {"open_failures": True}
    if form.get("key"):
        chosen[_CONDITIONS[_key(form.get("by", ""))]] = form["key"]
    body: dict[str, Any] = {"filter": chosen}
    if as_of is not None:
        body["as_of"] = as_of
    if form.get("rate"):
        body["rate_per_second"] = _number(form["rate"])
    if form.get("note", "").strip():
        body["note"] = form["note"]
    return json_body.load(BulkRetry, body)


def _key(text: str) -> GroupKey:
    try:
        return GroupKey(text)
    except ValueError as error:
        raise Invalid({"by": [f"Must be one of {', '.join(GroupKey)}."]}) from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Invalid({"rate_per_second": ["Must be a number."]}) from error
